"""Which articles pass a filter, answered by SQL; `Filters.matches` says what is meant, and tests hold this to it."""

from __future__ import annotations

from search.errors import QueryError
from search.normalize import journal_key, name_key
from search.retrieval.filters import And, Expression, Filters, MeshTerm, Not, Term
from search.storage.folder.sqlite_conditions import Condition, Conditions

__all__ = ["condition_of"]

_ALL: Condition = ("1 = 1", [])
_NONE: Condition = ("1 = 0", [])

#: Conditions that are joined in one row; SQLite takes no expression that is a thousand operators deep.
_IN_A_ROW = 100


def condition_of(filters: Filters, sql: Conditions) -> Condition:
    """Return what filters ask for as a condition in the SQL of a store; strategies are not asked in SQL."""
    if filters.strategy is not None:
        raise QueryError("a strategy stands beside the other filters, not within an expression")
    first, last = filters.date_bounds
    conditions = [_joined(" OR ", [_mesh(term, sql) for term in filters.mesh], _ALL), *_flags(filters, sql)]
    if (first, last) != (0, 99_991_231):
        conditions.append(sql.dates(first, last))
    if filters.journals:
        conditions.append(sql.journals(set(map(journal_key, filters.journals))))
    for kind, names in (("type", filters.publication_types), ("language", filters.languages)):
        if names:
            conditions.append(sql.names(kind, [name_key(name) for name in names]))
    if filters.added_since is not None:
        conditions.append(sql.added_since(int(filters.added_since.strftime("%Y%m%d"))))
    if filters.pmids is not None:
        conditions.append(sql.pmids(filters.pmids))
    if filters.not_pmids:
        conditions.append(_not(sql.pmids(filters.not_pmids)))
    if filters.expression is not None:
        conditions.append(_expression(filters.expression, sql))
    return _joined(" AND ", conditions, _ALL)


def _flags(filters: Filters, sql: Conditions) -> list[Condition]:
    flags = (
        (filters.has_abstract, sql.has_abstract),
        (filters.free_full_text, sql.free_full_text),
        (filters.not_retracted, _not(sql.retracted)),
    )
    return [condition for wanted, condition in flags if wanted]


def _expression(expression: Expression, sql: Conditions) -> Condition:
    if isinstance(expression, Not):
        return _not(_expression(expression.operand, sql))
    if isinstance(expression, Term):
        return condition_of(expression.filters, sql)
    operands = [_expression(operand, sql) for operand in expression.operands]
    if isinstance(expression, And):
        return _joined(" AND ", operands, _ALL)
    return _joined(" OR ", operands, _NONE)


def _mesh(term: MeshTerm, sql: Conditions) -> Condition:
    descriptor = name_key(term.descriptor)
    if term.qualifier is None:
        return sql.mesh(descriptor, major=term.major)
    return sql.qualifier(name_key(term.qualifier), descriptor, major=term.major)


def _not(condition: Condition) -> Condition:
    text, parameters = condition
    return f"NOT ({text})", parameters


def _joined(operator: str, conditions: list[Condition], empty: Condition) -> Condition:
    asked = [condition for condition in conditions if condition is not _ALL]
    if operator == " OR " and len(asked) < len(conditions):
        return _ALL
    if not asked:
        return empty
    texts = [f"({text})" for text, _ in asked]
    while len(texts) > _IN_A_ROW:
        rows = [texts[start : start + _IN_A_ROW] for start in range(0, len(texts), _IN_A_ROW)]
        texts = [f"({operator.join(row)})" for row in rows]
    return operator.join(texts), [value for _, values in asked for value in values]
