"""Which part of PubMed an index keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from search.article import Article
from search.errors import ConfigError, IndexFolderError

__all__ = ["Chooser", "Part", "chosen_part", "make_part"]


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The articles that meet every condition that is given; without any, all of PubMed.

    `since` is a year of publication. `mesh` holds names or UIDs of MeSH descriptors, `languages` NLM's codes (`eng`),
    `terms` words or phrases of title, abstract and keywords, where `*` at the end stands for any ending; of several of
    a kind one is enough. An article whose year is not known, or that has no MeSH headings (yet), does not meet a
    condition on them.
    """

    since: int | None = None
    mesh: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """Whether this is all of PubMed."""
        return self == Part()

    def __str__(self) -> str:
        """Return the conditions as a person says them."""
        conditions = [f"published since {self.since}"] if self.since is not None else []
        for name, values in (("MeSH", self.mesh), ("language", self.languages), ("text has", self.terms)):
            if values:
                conditions.append(f"{name} {' or '.join(values)}")
        return ", ".join(conditions) or "all of PubMed"

    def to_json(self) -> str:
        """Return what is remembered."""
        return msgspec.json.encode(self).decode()

    def chooser(self) -> Chooser | None:
        """Return the function that tells which articles belong; None if all do."""
        return None if self.is_everything else Chooser(self)


class Chooser:
    """Tells whether articles belong to a part."""

    def __init__(self, part: Part) -> None:
        self._since = part.since
        self._mesh = {name.casefold() for name in part.mesh}
        self._languages = {code.casefold() for code in part.languages}
        self._terms = _pattern(part.terms)

    def __call__(self, article: Article) -> bool:
        """Return whether an article belongs to the part; the cheap conditions are looked at first."""
        if self._since is not None and (article.year is None or article.year < self._since):
            return False
        if self._languages and self._languages.isdisjoint(code.casefold() for code in article.languages):
            return False
        if self._mesh and not any(
            heading.descriptor.casefold() in self._mesh or (heading.ui or "").casefold() in self._mesh
            for heading in article.mesh_headings
        ):
            return False
        return self._terms is None or any(self._terms.search(text) for text in _texts(article))


def chosen_part(
    remembered: str | None, asked: Part | None, *, nothing_applied: bool = False, change: bool = False
) -> Part:
    """Return the part to keep: the one that is remembered, or another if nothing was applied yet or `change` is set.

    To change to None is to keep all of PubMed from now on. Raises IndexFolderError if another part is asked for than
    the index keeps.
    """
    if remembered is None:
        return asked or Part()
    kept = msgspec.json.decode(remembered, type=Part)
    if asked is None:
        return Part() if change else kept
    if asked == kept:
        return kept
    if not (change or nothing_applied):
        raise IndexFolderError(
            f"this index keeps {kept}, and {asked} was asked for; give the same options or none to go on with it, or "
            "--change-part to keep another part from now on (all of NLM's files are read again)"
        )
    return asked


def make_part(
    since: int | None = None,
    mesh: Iterable[str] = (),
    languages: Iterable[str] = (),
    terms: Iterable[str] = (),
) -> Part | None:
    """Return the part that options describe; None if none is given. Raises ConfigError for what cannot be meant."""
    values = [tuple(sorted({" ".join(value.split()) for value in kind})) for kind in (mesh, languages, terms)]
    if any(not value for kind in values for value in kind):
        raise ConfigError("a MeSH heading, a language or a term of the part to keep is empty")
    for term in values[2]:
        if not re.search(r"\w", term):
            raise ConfigError(f"{term!r} holds no word to look for in articles")
    part = Part(since=since, mesh=values[0], languages=values[1], terms=values[2])
    return None if part.is_everything else part


def _pattern(terms: tuple[str, ...]) -> re.Pattern[str] | None:
    if not terms:
        return None
    found = []
    for term in terms:
        words = [re.escape(word) for word in term.removesuffix("*").split()]
        found.append(r"\s+".join(words) + ("" if term.endswith("*") else r"(?!\w)"))
    return re.compile(rf"(?<!\w)(?:{'|'.join(found)})", re.IGNORECASE)


def _texts(article: Article) -> Iterable[str]:
    yield article.title
    yield article.abstract_text
    if article.vernacular_title:
        yield article.vernacular_title
    for other in article.other_abstracts:
        yield " ".join(section.text for section in other.sections)
    for keyword in article.keywords:
        yield keyword.text
