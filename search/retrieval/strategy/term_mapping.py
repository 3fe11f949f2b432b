"""PubMed's automatic term mapping, as far as MeSH tells: untagged words become a heading and the words themselves."""

from __future__ import annotations

import msgspec

from search.errors import QueryError
from search.normalize import folded_words
from search.retrieval.mesh_tree import MeshTree
from search.retrieval.strategy.pubmed_vocabulary import STOPWORDS, subheading_of
from search.retrieval.strategy.strategy_tree import Combined, Node, Strategy, Term

__all__ = ["mapped"]

#: Words of the longest name that is looked for.
_LONGEST = 12


def mapped(strategy: Strategy, mesh: MeshTree) -> Strategy:
    """Return a strategy whose untagged words, and entry terms tagged as headings, stand for the headings of MeSH."""
    lines = [msgspec.structs.replace(line, tree=_node(line.tree, mesh)) for line in strategy.lines]
    return msgspec.structs.replace(strategy, lines=tuple(lines))


def _node(node: Node, mesh: MeshTree) -> Node:
    if isinstance(node, Combined):
        return Combined(node.operator, tuple(_node(part, mesh) for part in node.operands))
    if not isinstance(node, Term) or node.truncated:
        return node
    if node.field in ("mh", "majr"):
        return _tagged(node, mesh)
    if node.field == "all" and not node.quoted:
        return _untagged(node, mesh)
    return node


def _tagged(term: Term, mesh: MeshTree) -> Term:
    name, slash, qualifier = term.text.partition("/")
    heading = mesh.heading(name)
    if heading is None or folded_words(heading.name) == folded_words(name):
        return term
    return msgspec.structs.replace(term, text=f"{heading.name}{slash}{qualifier}")


def _untagged(term: Term, mesh: MeshTree) -> Node:
    combination = _combination(term, mesh)
    if combination is not None:
        return combination
    words = term.text.split()
    parts: list[Node] = []
    at = 0
    while at < len(words):
        end = next(
            (end for end in range(min(len(words), at + _LONGEST), at, -1) if _is_name(words[at:end], mesh)), None
        )
        if end is not None:
            parts.append(_meaning(" ".join(words[at:end]), term, mesh))
        elif _telling(words[at]):
            parts.append(_word(words[at], term))
        at = end or at + 1
    if not parts:
        return term
    return parts[0] if len(parts) == 1 else Combined("AND", tuple(parts))


def _is_name(words: list[str], mesh: MeshTree) -> bool:
    return any(map(_telling, words)) and mesh.heading(" ".join(words)) is not None


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


def _meaning(text: str, term: Term, mesh: MeshTree) -> Node:
    """Return a name that MeSH knows as its heading, its words in all fields, and the name as a phrase."""
    heading = mesh.heading(text)
    name = heading.name if heading else text
    words = folded_words(text)
    parts: list[Node] = [Term(name, "mh", quoted=True, start=term.start)]
    single = [word for word in words if word not in STOPWORDS]
    if len(single) > 1 and not any(len(word) == 1 or word.isdigit() for word in words):
        parts.append(Combined("AND", tuple(_word(word, term) for word in single)))
    parts.append(_word(text, term))
    if folded_words(name) != words:
        parts.append(_word(name, term))
    return Combined("OR", tuple(parts))


def _word(text: str, term: Term) -> Term:
    return Term(text, "all", quoted=True, start=term.start)
