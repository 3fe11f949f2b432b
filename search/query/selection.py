"""Which articles pass a filter, answered by SQL; `Filters.matches` says what is meant, and tests hold this to it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from search.keys import journal_key, name_key
from search.query.filters import And, Expression, Filters, MeshTerm, Not, Term
from search.store import Pmids, StoreReader

__all__ = ["select"]

_Condition = tuple[str, list[object]]

_ALL: _Condition = ("1", [])


def select(store: StoreReader, filters: Filters) -> Pmids | None:
    """Return the PMIDs, ascending, of the articles that pass; None where nothing is asked, so that all do."""
    if filters.is_empty:
        return None
    condition, parameters = _filters(filters)
    return store.select_pmids(condition, parameters)


def _filters(filters: Filters) -> _Condition:
    first, last = filters.date_bounds
    conditions = [_joined(" OR ", [_mesh(term) for term in filters.mesh], _ALL)]
    if (first, last) != (0, 99_991_231):
        conditions.append(("a.date_first > 0 AND a.date_first <= ? AND a.date_last >= ?", [last, first]))
    if filters.journals:
        keys = sorted(set(map(journal_key, filters.journals)))
        conditions.append(
            (
                "ifnull(a.journal, 0) IN (SELECT k.journal FROM json_each(?) AS wanted JOIN journal_keys AS k "
                "ON k.key = wanted.value)",
                [json.dumps(keys)],
            )
        )
    conditions += [_names("type", filters.publication_types), _names("language", filters.languages)]
    for column, wanted in (
        ("a.has_abstract", filters.has_abstract),
        ("a.free_full_text", filters.free_full_text),
        ("NOT a.retracted", filters.not_retracted),
    ):
        if wanted:
            conditions.append((column, []))
    if filters.added_since is not None:
        conditions.append(("a.added >= ?", [int(filters.added_since.strftime("%Y%m%d"))]))
    if filters.pmids is not None:
        conditions.append(("a.pmid IN (SELECT value FROM json_each(?))", [json.dumps(sorted(filters.pmids))]))
    if filters.not_pmids:
        conditions.append(("a.pmid NOT IN (SELECT value FROM json_each(?))", [json.dumps(sorted(filters.not_pmids))]))
    if filters.expression is not None:
        conditions.append(_expression(filters.expression))
    return _joined(" AND ", conditions, _ALL)


def _expression(expression: Expression) -> _Condition:
    if isinstance(expression, Not):
        condition, parameters = _expression(expression.operand)
        return f"NOT ({condition})", parameters
    if isinstance(expression, Term):
        return _filters(expression.filters)
    operands = [_expression(operand) for operand in expression.operands]
    if isinstance(expression, And):
        return _joined(" AND ", operands, _ALL)
    return _joined(" OR ", operands, ("0", []))


def _mesh(term: MeshTerm) -> _Condition:
    descriptor = name_key(term.descriptor)
    major = " AND t.major" if term.major else ""
    if term.qualifier is None:
        return _having("kind = 'mesh' AND (name = ? OR ui = ?)", [descriptor] * 2, major)
    qualifier = name_key(term.qualifier)
    return _having(
        "kind = 'qualifier' AND (name = ? OR ui = ?) AND (parent_name = ? OR parent_ui = ?)",
        [qualifier, qualifier, descriptor, descriptor],
        major,
    )


def _names(kind: str, names: Iterable[str]) -> _Condition:
    keys = [name_key(name) for name in names]
    if not keys:
        return _ALL
    wanted = json.dumps(keys)
    return _having(
        f"kind = '{kind}' AND (name IN (SELECT value FROM json_each(?)) OR ui IN (SELECT value FROM json_each(?)))",
        [wanted, wanted],
    )


def _having(term: str, parameters: list[object], major: str = "") -> _Condition:
    return (
        f"a.pmid IN (SELECT t.pmid FROM article_terms AS t WHERE t.term IN (SELECT id FROM terms WHERE {term}){major})",
        parameters,
    )


def _joined(operator: str, conditions: list[_Condition], empty: _Condition) -> _Condition:
    asked = [condition for condition in conditions if condition is not _ALL]
    if operator == " OR " and len(asked) < len(conditions):
        return _ALL
    if not asked:
        return empty
    return operator.join(f"({text})" for text, _ in asked), [value for _, values in asked for value in values]
