"""Which part of PubMed an index keeps: filters as a search has them, and words of the text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

import msgspec

from search.article import Article
from search.errors import ConfigError, IndexFolderError
from search.normalize import name_key
from search.retrieval.filters import Filters, MeshTerm, explode, filters_to_dict

__all__ = ["Chooser", "Part", "chosen_part", "make_part"]


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The articles that pass the filters and hold one of the terms; without either, all of PubMed.

    The filters mean what they mean in a search. `terms` are words or phrases of title, abstract and keywords, where
    `*` at the end stands for any ending. An article whose year is not known, or that has no MeSH headings (yet), does
    not pass a filter on them.
    """

    filters: Filters = Filters()
    terms: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether this is all of PubMed."""
        return self == Part()

    def __str__(self) -> str:
        """Return the conditions in a line: `published since 2015, MeSH Asthma, language eng, text has lung*`."""
        values = filters_to_dict(self.filters)
        conditions = [f"published since {values.pop('year_from')}"] if "year_from" in values else []
        if values.pop("mesh", None):
            conditions.append(f"MeSH {' or '.join(map(_mesh_text, self.filters.mesh))}")
        if values.pop("languages", None):
            conditions.append(f"language {' or '.join(self.filters.languages)}")
        conditions += [f"{name} {msgspec.json.encode(value).decode()}" for name, value in values.items()]
        if self.terms:
            conditions.append(f"text has {' or '.join(self.terms)}")
        return ", ".join(conditions) or "all of PubMed"

    def to_json(self) -> str:
        """Return the part as the ledger remembers it."""
        return msgspec.json.encode(self, order="deterministic").decode()

    def chooser(self, below: Callable[[str], Iterable[str]] | None = None) -> Chooser | None:
        """Return the function that decides which articles are kept; None if all are.

        `below` gives the descriptors below one in the MeSH tree; without it a descriptor stands for itself only.
        """
        return None if self.is_everything else Chooser(self, below)


class Chooser:
    """Decides whether articles belong to a part."""

    def __init__(self, part: Part, below: Callable[[str], Iterable[str]] | None = None) -> None:
        filters = explode(part.filters, below) if below is not None else part.filters
        # A descriptor may have thousands below it: they are looked up by the headings of an article.
        self._mesh: defaultdict[str, list[MeshTerm]] = defaultdict(list)
        for term in filters.mesh:
            self._mesh[name_key(term.descriptor)].append(term)
        self._filters = msgspec.structs.replace(filters, mesh=())
        self._terms = _pattern(part.terms)

    def __call__(self, article: Article) -> bool:
        """Return whether an article belongs to the part."""
        if not self._filters.matches(article) or (self._mesh and not self._has_heading(article)):
            return False
        return self._terms is None or any(self._terms.search(text) for text in _texts(article))

    def _has_heading(self, article: Article) -> bool:
        return any(
            term.matches(heading)
            for heading in article.mesh_headings
            for name in (heading.descriptor, heading.ui or "")
            for term in self._mesh.get(name_key(name), ())
        )


def chosen_part(
    remembered: str | None, requested: Part | None, *, nothing_applied: bool = False, change: bool = False
) -> Part:
    """Return the part to keep: the remembered one, or another if nothing was applied yet or `change` is set.

    To change to None is to keep all of PubMed from now on. Raises IndexFolderError if the requested part is not the
    one that the index keeps.
    """
    if remembered is None:
        return requested or Part()
    kept = msgspec.json.decode(remembered, type=Part)
    if requested is None:
        return Part() if change else kept
    if requested == kept:
        return kept
    if not (change or nothing_applied):
        raise IndexFolderError(
            f"this index keeps {kept}; the options now say {requested}: give the same options or none to continue, or "
            "--change-part to keep another part from now on (all of NLM's files are read again)"
        )
    return requested


def make_part(
    since: int | None = None,
    mesh: Iterable[str] = (),
    languages: Iterable[str] = (),
    terms: Iterable[str] = (),
) -> Part | None:
    """Return the part that options describe; None if none is given.

    Raises ConfigError for an empty name or a term without a word, QueryError for an unknown language.
    """
    headings, codes, words = (sorted({" ".join(value.split()) for value in kind}) for kind in (mesh, languages, terms))
    if not all((*headings, *codes, *words)):
        raise ConfigError("a MeSH heading, a language or a term of the part to keep is empty")
    for term in words:
        if not re.search(r"\w", term):
            raise ConfigError(f"the term {term!r} has no word to search for")
    filters = Filters(year_from=since, mesh=tuple(map(MeshTerm, headings)), languages=tuple(codes))
    part = Part(filters=filters, terms=tuple(words))
    return None if part.is_everything else part


def _mesh_text(term: MeshTerm) -> str:
    return f"{term.descriptor}{f'/{term.qualifier}' if term.qualifier else ''}{' (major)' if term.major else ''}"


def _pattern(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    if not terms:
        return None
    patterns = []
    for term in terms:
        words = [re.escape(word) for word in term.removesuffix("*").split()]
        patterns.append(r"\s+".join(words) + ("" if term.endswith("*") else r"(?!\w)"))
    return re.compile(rf"(?<!\w)(?:{'|'.join(patterns)})", re.IGNORECASE)


def _texts(article: Article) -> Iterable[str]:
    yield article.title
    yield article.abstract_text
    if article.vernacular_title:
        yield article.vernacular_title
    for other in article.other_abstracts:
        yield " ".join(section.text for section in other.sections)
    for keyword in article.keywords:
        yield keyword.text
