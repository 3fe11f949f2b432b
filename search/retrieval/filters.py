"""Filters: which articles a search may return, whatever the question.

A `Filters` is a conjunction: an article must pass every field that is set. A field that lists several values is passed
by any of them. What needs AND, OR and NOT beyond that goes into `expression`, whose leaves are `Filters` again.
`Filters.matches` is the plain meaning of it all; whatever else filters (SQL) must agree with it.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from numbers import Integral
from typing import Any

import msgspec

from search.article import MAX_PMID, Article, MeshHeading
from search.errors import QueryError
from search.messages import explained
from search.normalize import (
    common_journals,
    common_type,
    date_spans,
    folded_words,
    journal_key,
    journal_keys,
    language_code,
    name_key,
    yyyymmdd,
)
from search.retrieval.strategy import parse_strategy, selects
from search.retrieval.strategy.term_query import authors_query
from search.storage.article_tokens import tokens_of
from search.storage.token_query import holds
from search.study import DESIGNS, design_of, sample_size

__all__ = [
    "MAX_DEPTH",
    "And",
    "Expression",
    "Filters",
    "FiltersLike",
    "MeshTerm",
    "Not",
    "Or",
    "Term",
    "as_filters",
    "check_pmids",
    "depth_of",
    "explode",
    "filters_from_dict",
    "filters_to_dict",
]

#: Values that filters may list where they come as JSON, PMIDs not counted: more than anybody lists by name.
MOST_VALUES = 5_000

#: How deep expressions may be nested: far deeper than anyone writes, far less than Python's stack.
MAX_DEPTH = 50


class MeshTerm(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A MeSH descriptor (its name or its UI), as a main point only if `major`, with a qualifier if one is given.

    `explode` asks for what lies below it in the MeSH tree too; `search.retrieval.filters.explode` writes that out.
    """

    descriptor: str
    major: bool = False
    qualifier: str | None = None
    explode: bool = True

    def matches(self, heading: MeshHeading) -> bool:
        """Whether a heading of an article is this descriptor, with the required qualifier and weight."""
        key = name_key(self.descriptor)
        if key not in (name_key(heading.descriptor), name_key(heading.ui or "")):
            return False
        if self.qualifier is None:
            return heading.is_major or not self.major
        return any(
            name_key(self.qualifier) in (name_key(part.name), name_key(part.ui or ""))
            and (part.major or heading.major or not self.major)
            for part in heading.qualifiers
        )


class Filters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What an article must be to be in the answer; nothing set lets every article pass.

    - `year_from`, `year_to`, `date_from`, `date_to` (all inclusive): an article passes if the date of its issue or of
      its electronic version, as precise as its record gives it, can lie in the range. One with only a year passes each
      range that overlaps the year. A single day, month or year, by PubMed's rule, does not include articles whose
      electronic date is after that of the issue.
    - `authors`: family name and initials; fewer initials than a record has find it too. They stand beside the other
      filters, not within an expression.
    - `journals`: title, ISO or MEDLINE abbreviation, or ISSN. `languages`: NLM's codes or English names.
    - `mesh`: descriptors; `publication_types`: names or UIs.
    - `designs`: kinds of study (`search.study.DESIGNS`); `min_n`: at least so many took part, by the abstract.
    - `has_abstract`, `free_full_text` (has a PMCID), `not_retracted`.
    - `added_since`: added to the index on this day or later.
    - `strategy`: selected by this search in PubMed's query language (`search.retrieval.strategy`); it stands beside
      other filters, not within an expression.
    - `pmids`: only these (None for no limit, empty for none at all); `not_pmids`: never these.

    Raises QueryError for a range that runs backwards, an empty name, a language or PMID there is not.
    """

    year_from: int | None = None
    year_to: int | None = None
    date_from: date | None = None
    date_to: date | None = None
    authors: tuple[str, ...] = ()
    journals: tuple[str, ...] = ()
    mesh: tuple[MeshTerm, ...] = ()
    publication_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    designs: tuple[str, ...] = ()
    min_n: int | None = None
    has_abstract: bool = False
    free_full_text: bool = False
    not_retracted: bool = False
    added_since: date | None = None
    pmids: frozenset[int] | None = None
    not_pmids: frozenset[int] = frozenset()
    strategy: str | None = None
    expression: Expression | None = None

    def __post_init__(self) -> None:
        _check_lists(self)
        if self.strategy is not None:
            parse_strategy(self.strategy)
        for name in ("year_from", "year_to"):
            year = getattr(self, name)
            if year is not None and not (isinstance(year, int) and 1 <= year <= 9999):
                raise QueryError(f"{name} {year!r} is not a valid year: give one from 1 to 9999")
        first, last = self.date_bounds
        if first > last:
            raise QueryError(
                f"the range of dates runs backwards, from {_spoken(first)} to {_spoken(last)}: swap the two"
            )
        for name in ("journals", "publication_types", "authors"):
            if not all(map(folded_words if name == "authors" else name_key, getattr(self, name))):
                raise QueryError(f"{name} holds an empty name: leave it out")
        if not all(name_key(term.descriptor) for term in self.mesh):
            raise QueryError("mesh holds an empty name: leave it out")
        check_pmids(self.not_pmids | (self.pmids or frozenset()))
        _check_study(self)
        msgspec.structs.force_setattr(self, "languages", tuple(map(language_code, self.languages)))
        msgspec.structs.force_setattr(self, "publication_types", tuple(map(common_type, self.publication_types)))
        journals = tuple(name for typed in self.journals for name in common_journals(typed))
        msgspec.structs.force_setattr(self, "journals", journals)

    @property
    def date_bounds(self) -> tuple[int, int]:
        """The first and the last day as integers yyyymmdd; 0 and 99991231 where there is no limit."""
        firsts = [self.year_from * 10_000 + 101] if self.year_from is not None else []
        lasts = [self.year_to * 10_000 + 1231] if self.year_to is not None else []
        firsts += [yyyymmdd(self.date_from)] if self.date_from is not None else []
        lasts += [yyyymmdd(self.date_to)] if self.date_to is not None else []
        return max(firsts, default=0), min(lasts, default=99_991_231)

    @property
    def is_single_date(self) -> bool:
        """Whether the dates are those of one day, one month or one year."""
        first, last = self.date_bounds
        if first % 10_000 == 101 and last == first + 1130:
            return True
        if first % 100 == 1 and first // 100 == last // 100 and first > 0:
            return bool(last % 100 >= calendar.monthrange(first // 10_000, first // 100 % 100)[1])
        return first == last

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set, so that every article passes."""
        return self == Filters()

    def matches(self, article: Article, added: date | None = None) -> bool:
        """Whether the article, added to the index on that day, passes. Slow and plain: the meaning, not the engine."""
        return (
            self._matches_identity(article, added)
            and self._matches_date(article)
            and self._matches_subject(article)
            and (not self.has_abstract or bool(article.abstract_text.strip()))
            and (not self.free_full_text or bool(article.pmcid))
            and (not self.not_retracted or not article.is_retracted)
            and (not self.authors or holds(authors_query(self.authors), article.pmid, tokens_of(article)))
            and (self.strategy is None or selects(parse_strategy(self.strategy), article, lambda _: ()))
            and (self.expression is None or _holds(self.expression, article, added))
        )

    def _matches_identity(self, article: Article, added: date | None) -> bool:
        if self.pmids is not None and article.pmid not in self.pmids:
            return False
        if article.pmid in self.not_pmids:
            return False
        return self.added_since is None or (added is not None and added >= self.added_since)

    def _matches_date(self, article: Article) -> bool:
        first, last = self.date_bounds
        if (first, last) == (0, 99_991_231):
            return True
        issue, electronic = date_spans(article)
        if issue[0] and issue[0] <= last and issue[1] >= first:
            return True
        # By PubMed's rule, a single date does not include what appeared electronically after its issue.
        counts = electronic[0] and (electronic[0] <= issue[0] or not self.is_single_date)
        return bool(counts) and electronic[0] <= last and electronic[1] >= first

    def _matches_subject(self, article: Article) -> bool:
        if self.journals and not journal_keys(article) & set(map(journal_key, self.journals)):
            return False
        if self.mesh and not any(term.matches(heading) for term in self.mesh for heading in article.mesh_headings):
            return False
        kinds = {name_key(text) for kind in article.publication_types for text in (kind.name, kind.ui) if text}
        if self.publication_types and not kinds & set(map(name_key, self.publication_types)):
            return False
        if self.designs and design_of(article) not in self.designs:
            return False
        if self.min_n is not None and (sample_size(article) or 0) < self.min_n:
            return False
        return not self.languages or not set(self.languages).isdisjoint(map(name_key, article.languages))


class Term(msgspec.Struct, frozen=True, tag="term", forbid_unknown_fields=True):
    """A leaf of an expression: an article must pass the filters."""

    filters: Filters


class And(msgspec.Struct, frozen=True, tag="and", forbid_unknown_fields=True):
    """All operands must hold; with none, it holds."""

    operands: tuple[Expression, ...]


class Or(msgspec.Struct, frozen=True, tag="or", forbid_unknown_fields=True):
    """At least one operand must hold; with none, it does not."""

    operands: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True, tag="not", forbid_unknown_fields=True):
    """The operand must not hold."""

    operand: Expression


Expression = And | Or | Not | Term


def _holds(expression: Expression, article: Article, added: date | None) -> bool:
    if isinstance(expression, And):
        return all(_holds(operand, article, added) for operand in expression.operands)
    if isinstance(expression, Or):
        return any(_holds(operand, article, added) for operand in expression.operands)
    if isinstance(expression, Not):
        return not _holds(expression.operand, article, added)
    return expression.filters.matches(article, added)


def depth_of(expression: Expression | None) -> int:
    """Return how deep AND, OR and NOT are nested in an expression, those within its filters included."""
    if expression is None:
        return 0
    if isinstance(expression, Term):
        return depth_of(expression.filters.expression)
    operands = (expression.operand,) if isinstance(expression, Not) else expression.operands
    return 1 + max(map(depth_of, operands), default=0)


def explode(filters: Filters, below: Callable[[str], Iterable[str]]) -> Filters:
    """Return the filters with every descriptor that asks for it joined by the descriptors below it in the MeSH tree.

    `below` gives the names or UIs below a descriptor's name or UI, nothing for one it does not know.
    """
    terms: dict[MeshTerm, None] = {}
    for term in filters.mesh:
        plain = msgspec.structs.replace(term, explode=False)
        terms[plain] = None
        for name in below(term.descriptor) if term.explode else ():
            terms[msgspec.structs.replace(plain, descriptor=name)] = None
    expression = _explode_expression(filters.expression, below) if filters.expression is not None else None
    return msgspec.structs.replace(filters, mesh=tuple(terms), expression=expression)


def _explode_expression(expression: Expression, below: Callable[[str], Iterable[str]]) -> Expression:
    if isinstance(expression, Term):
        return Term(explode(expression.filters, below))
    if isinstance(expression, Not):
        return Not(_explode_expression(expression.operand, below))
    return type(expression)(tuple(_explode_expression(operand, below) for operand in expression.operands))


def _check_study(filters: Filters) -> None:
    """Raise QueryError for a design that there is not, or fewer than one participant."""
    for design in filters.designs:
        if design not in DESIGNS:
            raise QueryError(f"{design!r} is not a study design: there are {', '.join(DESIGNS)}")
    if filters.min_n is not None and filters.min_n < 1:
        raise QueryError(f"min_n must be at least 1, not {filters.min_n}")


def _check_lists(filters: Filters) -> None:
    """Raise QueryError for a text where a list of texts belongs: its letters would be taken for the values."""
    for name in ("authors", "journals", "publication_types", "languages", "designs", "mesh"):
        value = getattr(filters, name)
        if isinstance(value, str):
            raise QueryError(f"{name} takes a list of values: [{value!r}]")
    if not all(isinstance(term, MeshTerm) for term in filters.mesh):
        raise QueryError("mesh takes MeshTerm('Asthma') in Filters, and plain names in a dict: {'mesh': ['Asthma']}")


def check_pmids(pmids: Iterable[int]) -> None:
    """Raise QueryError if one of the numbers is not a valid PMID."""
    for pmid in pmids:
        if not isinstance(pmid, Integral) or not 1 <= pmid <= MAX_PMID:
            raise QueryError(f"{pmid!r} is not a valid PMID: PMIDs are whole numbers from 1 to {MAX_PMID}")


#: What a search takes as filters: `Filters`, a mapping of its fields, or None for all articles.
FiltersLike = Filters | Mapping[str, Any] | None


def as_filters(filters: FiltersLike) -> Filters:
    """Return filters that were given as `Filters`, as a mapping of its fields, or as None.

    Raises QueryError for anything else, and as `filters_from_dict` does.

    >>> as_filters({"year_from": 2015, "mesh": ["Asthma"]}).year_from
    2015
    """
    if filters is None:
        return Filters()
    if isinstance(filters, Filters):
        return filters
    if isinstance(filters, Mapping):
        return filters_from_dict(filters)
    raise QueryError(f"filters are Filters(...) or a dict such as {{'year_from': 2015}}, not {type(filters).__name__}")


def filters_to_dict(filters: Filters) -> dict[str, Any]:
    """Return the filters as JSON's own types, unset fields left out, in a fixed order."""
    result: dict[str, Any] = msgspec.to_builtins(filters, order="deterministic")
    return result


def filters_from_dict(data: Mapping[str, Any]) -> Filters:
    """Read filters from what JSON or YAML gave; a MeSH term may be just its name.

    Raises QueryError that names the field that is wrong and the nearest one there is.
    """
    if not isinstance(data, Mapping):
        raise QueryError('filters: give an object, e.g. {"year_from": 2015}')
    _check_number(data)
    try:
        filters = msgspec.convert(_with_mesh_terms(data), Filters)
    except msgspec.ValidationError as error:
        names = [name for part in _PARTS for name in part.__struct_fields__]
        raise QueryError(explained(error, names, "filter")) from error
    if depth_of(filters.expression) > MAX_DEPTH:
        raise _too_deep()
    return filters


def _check_number(data: Mapping[str, Any]) -> None:
    """Raise QueryError if filters list too many values, before anything is made of them."""
    number, parts = 0, [data]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            parts += [value for key, value in part.items() if key not in ("pmids", "not_pmids")]
        elif isinstance(part, list | tuple):
            number += len(part)
            if number > MOST_VALUES:
                raise QueryError(
                    f"the filters list too many values: at most {MOST_VALUES:,}, and any number of pmids; a heading "
                    "includes those below it, if the server has the MeSH tree"
                )
            parts += part


def _with_mesh_terms(data: Any, depth: int = 0) -> Any:
    if depth > 3 * MAX_DEPTH:
        raise _too_deep()
    if isinstance(data, Mapping):
        return {
            key: [{"descriptor": term} if isinstance(term, str) else term for term in value]
            if key == "mesh" and isinstance(value, list | tuple)
            else _with_mesh_terms(value, depth + 1)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [_with_mesh_terms(item, depth + 1) for item in data]
    return data


def _too_deep() -> QueryError:
    return QueryError(f"the filters are nested too deep: at most {MAX_DEPTH} levels of and, or, not")


_PARTS: tuple[type[msgspec.Struct], ...] = (Filters, MeshTerm, And, Not, Term)


def _spoken(day: int) -> str:
    return f"{day // 10_000:04d}-{day // 100 % 100:02d}-{day % 100:02d}"
