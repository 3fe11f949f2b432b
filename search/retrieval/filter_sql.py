"""Which articles pass a filter, as a condition in a database's SQL; tests compare it with the plain meaning."""

from __future__ import annotations

from collections.abc import Sequence

from search.errors import QueryError
from search.normalize import journal_key, name_key
from search.retrieval.filters import And, Expression, Filters, MeshTerm, Not, Term, depth_of
from search.storage.conditions import Condition, Conditions, all_of, any_of, negated

__all__ = ["condition_of"]


def condition_of(filters: Filters, sql: Conditions, *, negate: bool = False) -> Condition:
    """Return filters as a condition in a store's SQL; strategies and authors are not evaluated in SQL.

    With `negate` it is what they do not let pass. SQLite reads no expression that is a hundred levels deep: NOT is
    moved down to what it is about, and the deepest part comes first, where it takes one level for each of its own.
    """
    for given, what in ((filters.strategy, "a strategy stands"), (filters.authors, "authors stand")):
        if given:
            raise QueryError(f"{what} beside the other filters, not within an expression")
    first, last = filters.date_bounds
    conditions = [*_flags(filters, sql), *_names(filters, sql)]
    if (first, last) != (0, 99_991_231):
        conditions.append(sql.dates(first, last, late=not filters.is_single_date))
    if filters.min_n is not None:
        conditions.append(sql.at_least(filters.min_n))
    if filters.added_since is not None:
        conditions.append(sql.added_since(int(filters.added_since.strftime("%Y%m%d"))))
    if filters.pmids is not None:
        conditions.append(sql.pmids(filters.pmids))
    if filters.not_pmids:
        conditions.append(negated(sql.pmids(filters.not_pmids)))
    if negate:
        conditions = [negated(condition) for condition in conditions]
    if filters.expression is not None:
        conditions.insert(0, _expression(filters.expression, sql, negate=negate))
    return any_of(conditions) if negate else all_of(conditions)


def _flags(filters: Filters, sql: Conditions) -> list[Condition]:
    flags = (
        (filters.has_abstract, sql.has_abstract),
        (filters.free_full_text, sql.free_full_text),
        (filters.not_retracted, negated(sql.retracted)),
    )
    return [condition for applies, condition in flags if applies]


def _names(filters: Filters, sql: Conditions) -> list[Condition]:
    conditions = [_mesh(filters.mesh, sql)] if filters.mesh else []
    if filters.journals:
        conditions.append(sql.journals(set(map(journal_key, filters.journals))))
    for kind, names in (
        ("type", filters.publication_types),
        ("language", filters.languages),
        ("design", filters.designs),
    ):
        if names:
            conditions.append(sql.terms(kind, [name_key(name) for name in names]))
    return conditions


def _expression(expression: Expression, sql: Conditions, *, negate: bool) -> Condition:
    if isinstance(expression, Not):
        return _expression(expression.operand, sql, negate=not negate)
    if isinstance(expression, Term):
        return condition_of(expression.filters, sql, negate=negate)
    deepest_first = sorted(dict.fromkeys(expression.operands), key=depth_of, reverse=True)
    operands = [_expression(operand, sql, negate=negate) for operand in deepest_first]
    return all_of(operands) if isinstance(expression, And) != negate else any_of(operands)


def _mesh(terms: Sequence[MeshTerm], sql: Conditions) -> Condition:
    """Return the condition to have any of some headings: each kind of them is one list, so thousands cost little."""
    conditions = []
    for major in (False, True):
        some = [term for term in terms if term.major == major]
        headings = [name_key(term.descriptor) for term in some if term.qualifier is None]
        pairs = [(name_key(term.qualifier), name_key(term.descriptor)) for term in some if term.qualifier is not None]
        if headings:
            conditions.append(sql.terms("mesh", headings, major=major))
        if pairs:
            conditions.append(sql.qualifiers(pairs, major=major))
    return any_of(conditions)
