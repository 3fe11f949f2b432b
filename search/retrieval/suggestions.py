"""Values of filters that begin as typed, for whoever completes them: journals, types, headings, authors, languages."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal, get_args

import msgspec

from search.article import Article
from search.errors import QueryError
from search.messages import nearest_name
from search.normalize import folded_key, folded_words
from search.retrieval.mesh_tree import MeshTree
from search.storage.backend import View
from search.storage.token_query import AnyOf

__all__ = ["SuggestField", "Suggestion", "suggestions"]

SuggestField = Literal["journal", "type", "mesh", "author", "language"]

#: The exact values (`search.storage.article_tokens`) that complete a field.
_KEYS = {"journal": "ta", "type": "pt", "mesh": "mh", "author": "au", "language": "la"}

#: So many values are looked at for each that is shown: headings with subheadings, ISSNs and the like are left out.
_LOOKED_AT = 20


_ISSN = re.compile(r"ta:\d{4}_\d{3}[\dx]")


class Suggestion(msgspec.Struct, frozen=True):
    """A value that articles have, and how many have it; `entry_term` is the synonym by which a heading was found."""

    value: str
    articles: int
    entry_term: str | None = None


def suggestions(view: View, field: str, prefix: str, limit: int, mesh: MeshTree | None = None) -> list[Suggestion]:
    """Return the most frequent values of a field that begin with a text, whatever its case and accents.

    With MeSH, headings are found by their entry terms too. Raises QueryError if there is no such field.
    """
    if field not in _KEYS:
        raise QueryError(f"no field {field!r}: {nearest_name(field, get_args(SuggestField))}")
    found: dict[str, Suggestion] = {}
    for key in _keys(view, field, prefix, limit):
        query = AnyOf((key,), exact=True)
        count = view.tokens.count(query)
        if count:
            found.setdefault(_spelled(view, field, key, query), Suggestion("", count))
    rows = [msgspec.structs.replace(suggestion, value=value) for value, suggestion in found.items()]
    if field == "mesh" and mesh is not None:
        rows += _by_entry_term(view, prefix, mesh, found.keys(), limit)
    return sorted(rows, key=lambda row: (-row.articles, row.value))[:limit]


def _keys(view: View, field: str, prefix: str, limit: int) -> list[str]:
    words = folded_words(prefix)
    if not words:
        return []
    # `smith j` is the family name Smith and an initial, or the beginning of a family name of two words.
    beginnings = {"_".join(words)} | (
        {f"{'_'.join(words[:-1])}/{words[-1]}"} if field == "author" and words[1:] else set()
    )
    keys = {
        key
        for beginning in beginnings
        for key in view.tokens.keys(f"{_KEYS[field]}:{beginning}", limit * _LOOKED_AT)
        if field == "author" or "/" not in key
    }
    return [key for key in sorted(keys) if field != "journal" or not _ISSN.fullmatch(key)]


def _spelled(view: View, field: str, key: str, query: AnyOf) -> str:
    """Return a value as an article spells it; keys are folded."""
    value = key.partition(":")[2]
    pmids = view.tokens.pmids(query, 1).tolist()
    for article in view.store.get_many(pmids).values():
        for name in _names(field, article):
            if folded_key(name) == value.replace("/", "_"):
                return name
    return value.replace("/", " ").replace("_", " ")


def _names(field: str, article: Article) -> Iterator[str]:
    journal = article.journal
    if field == "journal":
        for name in (journal.medline_abbreviation, journal.iso_abbreviation, journal.title):
            yield from [name] if name else []
    elif field == "mesh":
        yield from (heading.descriptor for heading in article.mesh_headings)
    elif field == "type":
        yield from (kind.name for kind in article.publication_types)
    elif field == "author":
        for author in article.authors:
            yield f"{author.last_name or ''} {(author.initials or '')[:2]} {author.suffix or ''}".strip()
    else:
        yield from article.languages


def _by_entry_term(view: View, prefix: str, mesh: MeshTree, known: Collection[str], limit: int) -> Iterator[Suggestion]:
    """Yield the headings that an entry term beginning so stands for, if articles have them."""
    for term, heading in mesh.beginning(prefix, limit * _LOOKED_AT):
        count = view.tokens.count(AnyOf((f"mh:{folded_key(heading.name)}",), exact=True))
        if count and heading.name not in known:
            yield Suggestion(heading.name, count, None if term == heading.name else term)
