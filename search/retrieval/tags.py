"""PubMed field tags inside a question: `statins and muscle pain 2015:2020[dp] AND review[pt] NOT editorial[pt]`.

What carries a tag becomes a filter; what carries none is the question itself. Text without any tag that is known here
is a plain question and passes untouched, whatever brackets, quotes or ANDs it holds. As in PubMed, operators are read
from left to right, all of them binding alike, and words that stand side by side are joined by AND.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from search.errors import QueryError
from search.retrieval.filters import MAX_DEPTH, And, Expression, Filters, MeshTerm, Not, Or, Term

__all__ = ["has_idle_operator", "parse_question"]

_MESH_TAGS = {"mh": "mesh", "mesh": "mesh", "mesh terms": "mesh", "majr": "major", "mesh major topic": "major"}

#: The tags that are filters here, and of what.
TAGS = {
    **dict.fromkeys(("dp", "pdat", "publication date", "date - publication"), "date"),
    **dict.fromkeys(("pt", "ptyp", "publication type"), "type"),
    **_MESH_TAGS,
    **{f"{tag}:noexp": f"{kind}:noexp" for tag, kind in _MESH_TAGS.items()},
    **dict.fromkeys(("ta", "jour", "journal"), "journal"),
    **dict.fromkeys(("la", "lang", "language"), "language"),
    **dict.fromkeys(("pmid", "uid"), "pmid"),
    **dict.fromkeys(("sb", "filter"), "subset"),
}

_OF_WORDS = "give what words must be where as a strategy (`--strategy`), and the question in plain words"
_OF_ENTRY = "when an article came in is asked for by the filter added_since"
_OF_AUTHORS = "name authors by --author 'Smith J' (the filter `authors`), or in a strategy (`--strategy`)"
_OF_OTHERS = "it is a field of strategies (`--strategy`)"

#: Other tags of PubMed: an error where they stand beside a tag that is known.
OTHER_TAGS = {
    **dict.fromkeys(("tiab", "title/abstract", "tw", "text word", "ti", "title", "all", "all fields", "ot"), _OF_WORDS),
    **dict.fromkeys(("edat", "crdt", "date - entry", "date - create", "mhda", "lr"), _OF_ENTRY),
    **dict.fromkeys(("au", "author", "fau", "1au"), _OF_AUTHORS),
    **dict.fromkeys(("ad", "affiliation", "cn", "gr", "nm", "rn", "sh", "si", "vi"), _OF_OTHERS),
}
#: Those of them that nobody writes in plain prose: an error wherever they stand.
_UNMISTAKABLE = frozenset({"tiab", "title/abstract", "text word", "all fields"})
#: The same where they touch the word before them: `smith j[au]`, but not `gold [Au]`.
_UNMISTAKABLE_AFTER_A_WORD = frozenset({"au", "author", "fau", "1au", "ti", "title", "tw", "ot"})
#: Tags that are chemical elements too: `uptake of [Pt]`, so they must touch the word they belong to.
_ELEMENTS = frozenset({"Pt", "Ta", "La", "Ti", "Au", "Rn", "Si", "Lr", "Cn"})

_TAG = re.compile(r"\[([A-Za-z1][A-Za-z0-9 /:-]{0,22}[A-Za-z])\]")
_QUOTED = re.compile(r"[\"“]([^\"“”]*)[\"”](?=$|[\s)\[:,;.])")
_DAY = r"[0-9]{4}(?:/[0-9]{1,2}(?:/[0-9]{1,2})?)?"
_DATES = re.compile(rf"(?<![\w/.-])({_DAY})(?:\s*:\s*({_DAY}))?$")
# PubMed's own way of writing a range: "2015/01/01"[Date - Publication] : "2020/12/31"[Date - Publication]
_TAGGED_RANGE = re.compile(rf"[\"“]?({_DAY})[\"”]?\s?\[([^\[\]]+)\]\s*:\s*[\"“]?({_DAY})[\"”]?\s?\[([^\[\]]+)\]")
_PMIDS = re.compile(r"(?<!\S)[0-9]{1,15}(?:\s*,\s*[0-9]{1,15})*$")
_PLAIN = re.compile(r"[^\s()\[]*")
_INNER_PARENTHESIS = re.compile(r"\([^()\[\]]{0,80}\)")
_OPERATORS = frozenset({"AND", "OR", "NOT"})
_OPERATOR_WORDS = re.compile(r"(?<!\S)(?:AND|OR|NOT)(?!\S)")
_FREE_FULL_TEXT = frozenset({"free full text", "loattrfree full text", "pmc", "pubmed pmc"})


class _Token(NamedTuple):
    """A piece of the text: `word`, `quoted`, `tag`, `operator`, `(`, `)`, `term` (a filter in one piece)."""

    kind: str
    start: int
    end: int
    value: str = ""


class _Node(NamedTuple):
    """What a stretch of the text means: the spans that are the question's, and the expression."""

    start: int
    end: int
    free: tuple[tuple[int, int], ...] = ()
    expression: Expression | None = None
    depth: int = 0
    has_operator: bool = False

    @property
    def is_free(self) -> bool:
        return self.expression is None


@lru_cache(maxsize=32)  # A server reads a question when it arrives, and again when it is answered.
def parse_question(text: str) -> tuple[str, Expression | None]:
    """Return the question without its tags, and the filters that the tags stand for (None without tags).

    Raises QueryError, with the text and a caret under the character, where the tags cannot be read.

    >>> parse_question("muscle pain 2015:2020[dp]")
    ('muscle pain', Term(filters=Filters(year_from=2015, year_to=2020)))
    """
    # Most questions hold no tag, and a text of megabytes without one is not taken apart to see that.
    has_tag = any(match[1].lower() in TAGS for match in _TAG.finditer(text)) or "hasabstract" in text.lower()
    tokens = _tokens(text) if has_tag else []
    if not any(token.kind in ("tag", "term") for token in tokens):
        for match in _TAG.finditer(text):
            if _is_meant(text, match):
                raise _error(text, match.start(), f"[{match[1]}] cannot be used: {OTHER_TAGS[match[1].lower()]}")
        return text, None
    node = _Parser(text, tokens).parse()
    pieces = [piece for start, end in node.free if any(map(str.isalnum, piece := text[start:end].strip()))]
    question = " ".join(pieces)
    if any(token.kind in ("tag", "term") for token in _tokens(question)):
        raise _error(text, node.free[0][0], "what is left of the question without its tags reads like a tag")
    return question, node.expression


def has_idle_operator(text: str) -> bool:
    """Whether a plain question has AND, OR or NOT as words, which its writer may take for operators.

    >>> has_idle_operator("aspirin NOT cancer"), has_idle_operator("aspirin NOT review[pt]")
    (True, False)
    """
    return not text.isupper() and bool(_OPERATOR_WORDS.search(text)) and parse_question(text)[1] is None


def _is_meant(text: str, match: re.Match[str]) -> bool:
    """Whether brackets are surely a tag of PubMed that cannot be used in a question."""
    name = match[1].lower()
    touches = match.start() > 0 and text[match.start() - 1].isalnum()
    return name in _UNMISTAKABLE or (name in _UNMISTAKABLE_AFTER_A_WORD and touches and match[1] not in _ELEMENTS)


def _error(text: str, position: int, message: str) -> QueryError:
    first, last = max(0, position - 50), position + 30
    shown = "".join(character if character.isprintable() else " " for character in text[first:last])
    ahead, behind = "…" * (first > 0), "…" * (last < len(text))
    caret = " " * (len(ahead) + position - first) + "^"
    return QueryError(
        f"cannot read the question at character {position + 1}: {message}\n  {ahead}{shown}{behind}\n  {caret}"
    )


def _tokens(text: str) -> list[_Token]:
    """Cut a text that has a tag into tokens. A tag that is known makes the difference, so it is looked for first.

    Raises QueryError at the first parenthesis that is nested too deep.
    """
    tokens: list[_Token] = []
    # For the whole text and for each group that is open: whether a filter stands in it.
    has_filter = [False]
    after_filter = False
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        in_group = len(has_filter) > 1
        token = _special(text, at, tokens, in_group=in_group) or _word(text, at, in_group, after_filter)
        after_filter = token.kind in ("tag", "term")
        if token.kind == "(":
            if len(has_filter) > MAX_DEPTH:
                raise _error(text, at, f"parentheses are nested too deep: at most {MAX_DEPTH}")
            has_filter.append(False)
        elif token.kind == ")":
            after_filter = has_filter.pop()
        has_filter[-1] |= after_filter
        tokens.append(token)
        at = token.end
    return tokens


def _special(text: str, at: int, tokens: list[_Token], *, in_group: bool) -> _Token | None:
    starts_word = at == 0 or text[at - 1].isspace() or text[at - 1] == "("
    if starts_word:
        match = _TAGGED_RANGE.match(text, at)
        if match and TAGS.get(match[2].lower()) == TAGS.get(match[4].lower()) == "date":
            return _Token("term", at, match.end(), f"{match[1]}:{match[3]}")
        match = _QUOTED.match(text, at)
        if match:
            return _Token("quoted", at, match.end(), match[1])
        if text[at] == "(":
            return _Token("(", at, at + 1)
    if text[at] == ")" and in_group:
        return _Token(")", at, at + 1)
    return _tag(text, at) if tokens else None


def _tag(text: str, at: int) -> _Token | None:
    match = _TAG.match(text, at)
    if match is None or match[1].lower() not in TAGS or _is_element(text, match):
        return None
    return _Token("tag", at, match.end(), match[1].lower())


def _is_element(text: str, match: re.Match[str]) -> bool:
    return match[1] in _ELEMENTS and text[match.start() - 1].isspace()


def _word(text: str, at: int, in_group: bool, after_filter: bool) -> _Token:
    """Read a word; right after a filter, `and` in any case can only be an operator."""
    end = _end_of_plain(text, at + 1)
    while end < len(text) and not text[end].isspace() and not (text[end] == ")" and in_group) and not _tag(text, end):
        # A parenthesis inside a word belongs to it: Poly(ADP-ribose) Polymerases, Ca(2+)-ATPase.
        inner = _INNER_PARENTHESIS.match(text, end)
        end = _end_of_plain(text, inner.end() if inner else end + 1)
    word = text[at:end]
    if word in _OPERATORS or (word.upper() in _OPERATORS and after_filter):
        return _Token("operator", at, end, word.upper())
    return _Token("term" if word.lower() == "hasabstract" else "word", at, end, word)


def _end_of_plain(text: str, at: int) -> int:
    """Return where the next character is that may end a word."""
    match = _PLAIN.match(text, at)
    return match.end() if match else at


class _Parser:
    """Reads tokens into nodes: sequences of operands and operators, groups in parentheses."""

    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.at = 0

    def parse(self) -> _Node:
        for match in _TAG.finditer(self.text):
            name = match[1].lower()
            if name in OTHER_TAGS and not self.is_quoted(match.start()) and not _is_element(self.text, match):
                raise self.error(match.start(), f"[{match[1]}] cannot be used: {OTHER_TAGS[name]}")
        return self.sequence()

    def is_quoted(self, position: int) -> bool:
        last = self.tokens[bisect_right(self.tokens, position, key=lambda token: token.start) - 1]
        return last.kind == "quoted" and last.start < position < last.end

    def error(self, position: int, message: str) -> QueryError:
        return _error(self.text, position, message)

    def sequence(self) -> _Node:
        """Read operands and operators up to the end or to the parenthesis that closes the group."""
        node: _Node | None = None
        operators: list[_Token] = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind != ")":
            token = self.tokens[self.at]
            if token.kind == "operator":
                self.check_operator(token, operators, node)
                operators.append(token)
                self.at += 1
                continue
            for operand in self.operands():
                node = self.combine(node, operators, operand)
                operators = []
        if operators:
            raise self.error(operators[-1].start, f"nothing follows {operators[-1].value}")
        if node is None:
            position = self.tokens[self.at].start if self.at < len(self.tokens) else len(self.text)
            raise self.error(position, "nothing stands between the parentheses")
        return node

    def check_operator(self, token: _Token, before: list[_Token], node: _Node | None) -> None:
        if before and (token.value != "NOT" or before[-1].value == "NOT"):
            raise self.error(token.start, f"{token.value} follows {before[-1].value}: put a term between them")
        if not before and node is None and token.value != "NOT":
            raise self.error(token.start, f"nothing stands before {token.value}")

    def operands(self) -> list[_Node]:
        """Read what stands side by side up to an operator, the end of a group, or the end of a filter."""
        pending: list[_Token] = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind in ("operator", ")"):
                break
            self.at += 1
            if token.kind == "(":
                group = self.group(token)
                if not group.is_free:
                    return [*self.free(pending), group]
                # Words in parentheses: part of the question, or of a name such as Lancet (London, England).
                pending.append(_Token("group", group.start, group.end, "operator" if group.has_operator else ""))
            elif token.kind == "term":
                tag = "sb" if token.value.lower() == "hasabstract" else "dp"
                return [*self.free(pending), self.leaf(tag, token.value, token.start, token.end)]
            elif token.kind == "tag":
                return self.tagged(pending, token)
            else:
                pending.append(token)
        return self.free(pending)

    def group(self, opening: _Token) -> _Node:
        node = self.sequence()
        if self.at == len(self.tokens):
            raise self.error(opening.start, "this parenthesis is never closed")
        end = self.tokens[self.at].end
        self.at += 1
        free = ((opening.start, end),) if node.is_free else node.free
        return node._replace(start=opening.start, end=end, free=free)

    def free(self, pending: list[_Token]) -> list[_Node]:
        if not pending:
            return []
        start, end = pending[0].start, pending[-1].end
        return [_Node(start, end, free=((start, end),))]

    def tagged(self, pending: list[_Token], tag: _Token) -> list[_Node]:
        """Return the nodes of a tag and the words before it: the part that it does not claim stays free."""
        if not pending:
            raise self.error(tag.start, f"nothing stands before [{tag.value}]: write the term, then its tag")
        kind, last = TAGS[tag.value], pending[-1]
        start = last.start
        if last.kind == "quoted":
            value = last.value
        elif kind in ("date", "pmid"):
            text = self.text[pending[0].start : last.end]
            match = (_DATES if kind == "date" else _PMIDS).search(text)
            if match is None:
                form = "2015, 2015/03/17 or 2015:2020" if kind == "date" else "12345678"
                raise self.error(start, f"[{tag.value}] needs a form such as {form} before it")
            start, value = pending[0].start + match.start(), match[0]
        else:
            start, value = self.phrase(pending, tag)
        ahead = [token for token in pending if token.start < start]
        if ahead:
            ahead[-1] = ahead[-1]._replace(end=min(ahead[-1].end, start))
        return [*self.free(ahead), self.leaf(tag.value, value, start, tag.end)]

    def phrase(self, pending: list[_Token], tag: _Token) -> tuple[int, str]:
        """Return the words that a tag belongs to: all back to an operator, a quotation, a group or another tag."""
        last = pending[-1]
        if last.kind == "group" and last.value == "operator":
            raise self.error(
                tag.start, f"[{tag.value}] belongs to one term: tag each, as in a[{tag.value}] OR b[{tag.value}]"
            )
        first = len(pending) - 1
        while first and pending[first - 1].kind == "word":
            first -= 1
        while first < len(pending) - 1 and not any(map(str.isalnum, pending[first].value)):
            first += 1  # a comma or dash left over from what stands before
        value = self.text[pending[first].start : last.end]
        if last.kind == "group" and first == len(pending) - 1:
            value = value[1:-1]
        return pending[first].start, value

    def leaf(self, tag: str, value: str, start: int, end: int) -> _Node:
        try:
            return _Node(start, end, expression=Term(_FILTERS[TAGS[tag]](value.strip())))
        except QueryError as error:
            raise self.error(start, str(error)) from None

    def combine(self, left: _Node | None, operators: list[_Token], right: _Node) -> _Node:
        """Join what has been read so far with the next operand."""
        names = [operator.value for operator in operators]
        if left is not None and left.is_free and right.is_free:
            # Question on both sides: its words stay as they are, the operator among them.
            return _Node(left.start, right.end, free=((left.start, right.end),), has_operator=True)
        position = operators[-1].start if operators else right.start
        if "NOT" in names:
            if right.free or right.expression is None:
                raise self.error(position, "NOT can only be used with a term that has a tag")
            right = right._replace(expression=Not(right.expression), depth=right.depth + 1)
        if left is None:
            return right._replace(has_operator=bool(names))
        if "OR" in names and (left.free or right.free):
            raise self.error(position, "OR cannot join the question to a filter: both sides need a tag")
        joined = Or if "OR" in names else And
        depth = max(left.depth, right.depth) + 1
        if depth > MAX_DEPTH:
            raise self.error(position, f"operators are nested too deep: at most {MAX_DEPTH} levels")
        operands = _flat(left.expression, joined) + _flat(right.expression, joined)
        if isinstance(left.expression, joined):
            depth = max(left.depth, right.depth + 1)
        expression = operands[0] if len(operands) == 1 else joined(operands)
        return _Node(left.start, right.end, left.free + right.free, expression, depth, has_operator=True)


def _flat(expression: Expression | None, kind: type[And] | type[Or]) -> tuple[Expression, ...]:
    if expression is None:
        return ()
    return expression.operands if isinstance(expression, kind) else (expression,)


def _dates(value: str) -> Filters:
    match = _DATES.search(value)
    if match is None or match.start():
        raise QueryError(
            f"{value!r} is not a valid date: write 2015, 2015/03, 2015/03/17, or two of them separated by a colon"
        )
    first, last = match[1], match[2] or match[1]
    if "/" not in first + last:
        # 3000 is PubMed's way to say that there is no end.
        return Filters(year_from=int(first), year_to=int(last) if int(last) < 3000 else None)
    return Filters(date_from=_day(first, last=False), date_to=_day(last, last=True) if int(last[:4]) < 3000 else None)


def _pmids(value: str) -> Filters:
    match = _PMIDS.match(value)
    if match is None:
        raise QueryError(f"{value!r} is not a valid PMID: write 12345678, or several separated by commas")
    return Filters(pmids=frozenset(map(int, value.split(","))))


def _day(text: str, *, last: bool) -> date:
    year, month, day = ([int(part) for part in text.split("/")] + [0, 0])[:3]
    try:
        month = month or (12 if last else 1)
        return date(year, month, day or (calendar.monthrange(year, month)[1] if last else 1))
    except ValueError as error:
        raise QueryError(f"{text} is not a valid date: {error}") from None


def _mesh(*, major: bool, explode: bool) -> Callable[[str], Filters]:
    def read(value: str) -> Filters:
        descriptor, _, qualifier = value.partition("/")
        return Filters(mesh=(MeshTerm(descriptor.strip(), major, qualifier.strip() or None, explode),))

    return read


def _subset(value: str) -> Filters:
    name = " ".join(value.lower().split())
    if name in _FREE_FULL_TEXT:
        return Filters(free_full_text=True)
    if name == "hasabstract":
        return Filters(has_abstract=True)
    raise QueryError(f"no subset {value!r}: there are free full text, pmc and hasabstract")


_FILTERS: dict[str, Callable[[str], Filters]] = {
    "date": _dates,
    "type": lambda value: Filters(publication_types=(value,)),
    "mesh": _mesh(major=False, explode=True),
    "mesh:noexp": _mesh(major=False, explode=False),
    "major": _mesh(major=True, explode=True),
    "major:noexp": _mesh(major=True, explode=False),
    "journal": lambda value: Filters(journals=(value,)),
    "language": lambda value: Filters(languages=(value,)),
    "pmid": _pmids,
    "subset": _subset,
}
