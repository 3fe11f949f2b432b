"""PubMed's automatic term mapping: untagged words become a heading, a substance, a journal or an author, or stay words.

The longest name is looked for at each place, first in MeSH, then among journals, then among authors and investigators;
the first that has it decides, as PubMed's help says. Journals and people are those of the index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from search.errors import QueryError
from search.normalize import common_journals, folded_words, journal_key
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.strategy.pubmed_vocabulary import STOPWORDS, is_subheading, subheading_of
from search.retrieval.strategy.strategy_tree import Combined, Node, Strategy, Term
from search.retrieval.strategy.term_query import person_tokens
from search.storage.token_query import AnyOf, TokenIndex
from search.time_limit import check_time

__all__ = ["mapped"]

#: Words of the longest name that is looked for, and of the longest person's; in longer texts only MeSH is looked for.
_LONGEST, _LONGEST_PERSON, _LONGEST_TEXT = 12, 4, 100

#: Subjects that are the names of journals, too: PubMed searches them as subjects.
_NO_JOURNALS = frozenset({"heart failure", "pediatric surgery", "treatment review"})

_INITIALS = re.compile(r"[^\W\d_]{1,2}")


def mapped(strategy: Strategy, mesh: MeshTree | None, tokens: TokenIndex) -> Strategy:
    """Return a strategy whose untagged words, and other names of headings and substances, stand for what they name."""
    mapping = _Mapping(mesh, tokens)
    lines = [msgspec.structs.replace(line, tree=mapping.node(line.tree)) for line in strategy.lines]
    return msgspec.structs.replace(strategy, lines=tuple(lines))


class _Mapping:
    """The tables that names are looked up in: MeSH, if there is one, and what an index has."""

    def __init__(self, mesh: MeshTree | None, tokens: TokenIndex) -> None:
        self._mesh = mesh
        self._tokens = tokens

    def node(self, node: Node) -> Node:
        if isinstance(node, Combined):
            return Combined(node.operator, tuple(self.node(part) for part in node.operands))
        if not isinstance(node, Term) or node.truncated or node.distance is not None:
            return node
        if self._mesh is not None and node.field in ("mh", "majr", "nm"):
            return _tagged(node, self._mesh)
        if node.field == "all" and not node.quoted:
            return self._untagged(node)
        return node

    def _untagged(self, term: Term) -> Node:
        combination = _combination(term, self._mesh) if self._mesh is not None else None
        if combination is not None:
            return combination
        words = term.text.split()
        short = len(words) <= _LONGEST_TEXT
        parts: list[Node] = []
        at = 0
        while at < len(words):
            check_time()
            for end in range(min(len(words), at + _LONGEST), at, -1):
                meaning = self._meaning(" ".join(words[at:end]), term, in_index=short)
                if meaning is not None:
                    parts.append(meaning)
                    at = end
                    break
            else:
                if _telling(words[at]):
                    parts.append(_phrase(words[at], term))
                at += 1
        if not parts:
            return term
        return parts[0] if len(parts) == 1 else Combined("AND", tuple(parts))

    def _meaning(self, name: str, term: Term, *, in_index: bool) -> Node | None:
        """Return what a name stands for in the first table that has it, or None."""
        if not any(map(_telling, name.split())):
            return None
        subject = _subject(name, term, self._mesh) if self._mesh is not None else None
        if subject is not None or not in_index:
            return subject
        return self._journal(name, term) or self._person(name, term)

    def _journal(self, name: str, term: Term) -> Node | None:
        words = folded_words(name)
        if " ".join(words) in _NO_JOURNALS:
            return None
        names = [
            full for full in common_journals(name) if self._holds([f"ta:{'_'.join(folded_words(journal_key(full)))}"])
        ]
        if not names:
            return None
        journals = [Term(full, "ta", quoted=True, start=term.start) for full in names]
        return Combined("OR", (*journals, *_words_and_phrase(name, term)))

    def _person(self, name: str, term: Term) -> Term | None:
        """Return a whole name that an author or investigator has, or a last name with initials."""
        words = name.split()
        if not 1 < len(words) <= _LONGEST_PERSON or any(not any(map(str.isalpha, word)) for word in words):
            return None
        if any(word in STOPWORDS for word in words):
            return None
        short = _INITIALS.fullmatch(words[-1]) is not None
        for full, initials in (("fau", "au"), ("fir", "ir")):
            whole = [key for key, begins in person_tokens(name, full=True, quoted=True) if not begins]
            if self._holds([f"{full}:{key}" for key in whole]):
                return Term(name, full, quoted=True, start=term.start)
            beginnings = [key for key, _ in person_tokens(name, full=False, quoted=False) if not key.endswith("/")]
            if short and self._holds(prefixes=[f"{initials}:{key}" for key in beginnings]):
                return Term(name, initials, start=term.start)
        return None

    def _holds(self, keys: Iterable[str] = (), prefixes: Iterable[str] = ()) -> bool:
        return bool(len(self._tokens.pmids(AnyOf(tuple(keys), tuple(prefixes), exact=True), 1)))


def _tagged(term: Term, mesh: MeshTree) -> Term:
    """Return a term with the name of the heading or the substance that another name stands for."""
    name, slash, qualifier = term.text.partition("/") if term.field != "nm" else (term.text, "", "")
    record = mesh.concept(name) if term.field == "nm" else None
    record = record or mesh.heading(name)
    if record is None or folded_words(record.name) == folded_words(name):
        return term
    return msgspec.structs.replace(term, text=f"{record.name}{slash}{qualifier}")


def _telling(word: str) -> bool:
    folded = folded_words(word)
    return bool(folded) and (len(folded) > 1 or folded[0] not in STOPWORDS)


def _combination(term: Term, mesh: MeshTree) -> Term | None:
    """Return `neoplasms/diet therapy` as a heading with its subheading, if it is one."""
    name, slash, qualifier = term.text.partition("/")
    heading = mesh.heading(name) if slash else None
    if heading is None:
        return None
    try:
        return msgspec.structs.replace(term, text=f"{heading.name}/{subheading_of(qualifier)}", field="mh")
    except QueryError:
        return None


def _subject(name: str, term: Term, mesh: MeshTree) -> Node | None:
    """Return a name that MeSH knows as what it stands for there, and the words of both names in all fields."""
    record = mesh.heading(name) or mesh.concept(name)
    parts: list[Node] = []
    if is_subheading(name):
        parts.append(Term(name.lower(), "sh", quoted=True, start=term.start))
    if record is not None:
        field = "nm" if record.supplementary else "pt" if record.is_publication_type else "mh"
        if field == "mh" and mesh.is_action(record.name):
            parts.append(Term(record.name, "pa", quoted=True, start=term.start))
        parts.append(Term(record.name, field, quoted=True, start=term.start))
        if folded_words(record.name) != folded_words(name):
            parts += _words_and_phrase(record.name, term, phrase_only=record.supplementary)
    if not parts:
        return None
    parts += _words_and_phrase(name, term, phrase_only=record is not None and record.supplementary)
    return Combined("OR", tuple(parts))


def _words_and_phrase(name: str, term: Term, *, phrase_only: bool = False) -> Iterator[Node]:
    """Yield the words of a name, each in any field, and the name as a phrase, which is all where a letter is a word."""
    words = folded_words(name)
    telling = [word for word in words if word not in STOPWORDS]
    if len(telling) > 1 and not phrase_only and not any(len(word) == 1 or word.isdigit() for word in words):
        yield Combined("AND", tuple(_phrase(word, term) for word in telling))
    yield _phrase(name, term)


def _phrase(text: str, term: Term) -> Term:
    return Term(text, "all", quoted=True, start=term.start)
