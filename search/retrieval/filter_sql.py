"""Which articles pass a filter, as a condition in a database's SQL; tests compare it with the plain meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from search.errors import QueryError
from search.normalize import journal_key, name_key
from search.retrieval.filters import And, Expression, Filters, MeshTerm, Not, Or, Term, depth_of
from search.storage.conditions import Condition, Conditions, all_of, any_of, negated

__all__ = ["MOST_CONDITIONS", "condition_of"]

#: Conditions that an expression may join, of which the values of one filter are one, however many there are.
MOST_CONDITIONS = 500

#: What an article has when it has any of several values.
_LISTS = ("mesh", "publication_types", "journals", "languages", "designs")


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
        conditions.insert(0, _expression(_shortened(filters.expression), sql, negate=negate))
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
    deepest_first = sorted(expression.operands, key=depth_of, reverse=True)
    operands = [_expression(operand, sql, negate=negate) for operand in deepest_first]
    return all_of(operands) if isinstance(expression, And) != negate else any_of(operands)


def _shortened(expression: Expression) -> Expression:
    """Return an expression with lists in place of alternatives. Raises QueryError if it is too long even so."""
    merged = _merged(expression)
    number = sum(1 for _ in _terms(merged))
    if number > MOST_CONDITIONS:
        raise QueryError(
            f"the filters join {number:,} conditions by and, or, not: at most {MOST_CONDITIONS}; give the values of "
            'one filter as a list, such as "mesh": ["Asthma", "Cough"]'
        )
    return merged


def _merged(expression: Expression) -> Expression:
    """Return an expression in which OR, or NOT after NOT, of values of one filter is one list of them."""
    if isinstance(expression, Term):
        return expression
    if isinstance(expression, Not):
        return Not(_merged(expression.operand))
    operands = list(dict.fromkeys(map(_merged, expression.operands)))
    if isinstance(expression, Or):
        return Or(_with_lists(operands))
    excluded = _with_lists([operand.operand for operand in operands if isinstance(operand, Not)])
    return And((*(operand for operand in operands if not isinstance(operand, Not)), *map(Not, excluded)))


def _with_lists(operands: Sequence[Expression]) -> tuple[Expression, ...]:
    lists: dict[str, list[Filters]] = {}
    others: list[Expression] = []
    for operand in operands:
        name = _only_list(operand.filters) if isinstance(operand, Term) else None
        if isinstance(operand, Term) and name is not None:
            lists.setdefault(name, []).append(operand.filters)
        else:
            others.append(operand)
    for name, some in lists.items():
        values = dict.fromkeys(value for filters in some for value in getattr(filters, name))
        others.append(Term(replace(some[0], **{name: tuple(values)})))
    return tuple(others)


def _only_list(filters: Filters) -> str | None:
    """Return the field of filters that ask for nothing but any of some values of it."""
    given = [name for name in Filters.__struct_fields__ if getattr(filters, name) != getattr(_EMPTY, name)]
    return given[0] if len(given) == 1 and given[0] in _LISTS else None


_EMPTY = Filters()


def _terms(expression: Expression) -> Iterator[Term]:
    if isinstance(expression, Term):
        yield expression
        if expression.filters.expression is not None:
            yield from _terms(_merged(expression.filters.expression))
        return
    for operand in (expression.operand,) if isinstance(expression, Not) else expression.operands:
        yield from _terms(operand)


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
