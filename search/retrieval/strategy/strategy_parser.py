"""Reading PubMed's query language into a tree.

Operators are taken from left to right, all binding alike, and what stands side by side is joined by AND. A tag belongs
to the words before it, back to an operator, a parenthesis, a quotation or another tag. Nothing is passed over in
silence: what cannot be answered is a QueryError with a caret, and what is understood in another way than it may be
meant is a note. Reading takes time in proportion to the text, and no recursion.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from search.errors import QueryError
from search.normalize import folded_words, yyyymmdd
from search.retrieval.strategy.field_tags import FILTER_WORDS, Field, field_of, nearest_tags
from search.retrieval.strategy.strategy_lexer import Piece, Source, plain_typography
from search.retrieval.strategy.strategy_tree import (
    Combined,
    DateRange,
    LineReference,
    Node,
    Operator,
    Strategy,
    StrategyLine,
    Term,
)

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "MAX_TERMS", "parse_strategy"]

#: Far more than anyone writes, far less than what Python or a search index can bear.
MAX_LENGTH, MAX_TERMS, MAX_DEPTH, MAX_LINES = 500_000, 10_000, 100, 500
#: Words of a proximity search, and the words between two of them.
MAX_NEAR, MAX_DISTANCE = 10, 1_000

_LONGEST_TAG = 60

_OPERATORS: dict[str, Operator] = {
    "AND": "AND",
    "OR": "OR",
    "NOT": "NOT",
    "&": "AND",
    "&&": "AND",
    "|": "OR",
    "||": "OR",
}
_EVERYTHING = Term("all", "sb")

_DAY = r"\d{4}(?:[/-]\d{1,2}(?:[/-]\d{1,2})?)?"
_DATE = re.compile(_DAY)
_RANGE = re.compile(
    rf'"?({_DAY})"?\s{{0,9}}(?:\[([^\[\]]{{0,60}})\])?\s{{0,9}}:\s{{0,9}}"?({_DAY})"?\s{{0,9}}\[([^\[\]]{{0,60}})\]'
)
_LAST = re.compile(r"last (\d{1,4} )?(day|month|year)s?", re.IGNORECASE)
_DISTANCE = re.compile(r"(.*?)\s*:\s*~\s*(\d{1,4})")
_NOEXP = re.compile(r"(.*?)\s*:?\s*\bno ?exp", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*#?(\d{1,3})(?:[.):]\s*|\s+)(?=\S)")
_REFERENCE = re.compile(r"#(\d{1,4})[,;.]?")
_LINE_ELSEWHERE = re.compile(r"[sS]?\d{1,3}")
_UNTAGGED_RANGE = re.compile(rf"{_DAY}:{_DAY}")
_NUMBER = re.compile(r"\d{5,9},?")

#: What other databases write, and what PubMed writes in its place.
_FOREIGN = (
    (re.compile(r".*\.(?:ti|ab|tw|mp|kw|kf|sh|pt|fs|hw|af|au|jn|so)(?:,\w\w)*\.?", re.I), "write a[tiab] for a.ti,ab."),
    (
        re.compile(r"(?:adj\d{0,2}|near/?\d{1,2}|(?:next|w|n)/\d{1,2})", re.I),
        'write "a b"[tiab:~3] for words near each other',
    ),
    (re.compile(r"\w+[?$#]\w*[?$#]?", re.I), "the only wildcard is * at the end of a word"),
    (re.compile(r"\w+:(?:ti|ab|kw|au)(?:,\w\w)*", re.I), "write a[tiab] for a:ti,ab"),
    (
        re.compile(r"title-abs(?:-key)?(?:-auth)?|(?:ts|ti|ab|au)=.*", re.I),
        "write a[tiab] for words of title and abstract",
    ),
    (re.compile(r"~\d{1,3}"), 'write "a b"[tiab:~3] for words near each other'),
    (re.compile(r"\w[\w,-]*/", re.I), 'write "asthma"[mh] for the heading asthma/'),
    (re.compile(r"filters:", re.I), "filters are terms: write AND humans[Filter] for the filter Humans"),
)


def parse_strategy(text: str, *, today: date | None = None) -> Strategy:
    """Read a strategy: one search, or the numbered lines of a search history, of which the last is the result.

    `today` is the day that `"last 5 years"[dp]` counts from. Raises QueryError with the place and a caret.

    >>> parse_strategy("aspirin[tiab] NOT cancer[ti]").result.tree.operator
    'NOT'
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the strategy has {len(text):,} characters: at most {MAX_LENGTH:,} are read")
    text = plain_typography(text)
    lines = _history(text)
    notes: dict[str, None] = {}
    parsed: list[StrategyLine] = []
    sizes: list[int] = []
    for number, line in lines:
        source = Source(line, number if len(lines) > 1 else 0)
        parser = _Parser(
            source, today or date.today(), {entry.number: size for entry, size in zip(parsed, sizes, strict=True)}
        )
        parsed.append(StrategyLine(number, line, parser.parse()))
        sizes.append(parser.terms)
        notes.update(dict.fromkeys(parser.notes))
    return Strategy(tuple(parsed), tuple(notes))


def _history(text: str) -> list[tuple[int, str]]:
    """Return the numbered lines of a search history, or the whole text as line 1."""
    written = [line for line in text.split("\n") if line.strip()]
    if len(written) > 1:
        numbers = [match and int(match[1]) for match in map(_NUMBERED.match, written)]
        if numbers[0] == 1 and 2 in numbers[1:]:
            return _numbered(written, numbers)
        if any(_REFERENCE.fullmatch(word.strip("()")) for line in written for word in line.split()):
            return list(enumerate(written, start=1))
    return [(1, text)]


def _numbered(written: list[str], numbers: list[int | None]) -> list[tuple[int, str]]:
    """Return the lines that follow each other in number; one that does not continues the line above it."""
    lines: list[tuple[int, str]] = []
    for line, number in zip(written, numbers, strict=True):
        if number is not None and number == len(lines) + 1:
            match = _NUMBERED.match(line)
            lines.append((number, line[match.end() if match else 0 :]))
        else:
            last, text = lines[-1]
            lines[-1] = (last, f"{text} {line}")
    if len(lines) > MAX_LINES:
        raise QueryError(f"the strategy has {len(lines)} lines: at most {MAX_LINES} are read")
    return lines


class _Group:
    """What stands between two parentheses, as far as it is read."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.operands: list[Node] = []
        self.joined: Operator | None = None
        self.pending: tuple[Operator, int] | None = None
        self.height = 0

    def add(self, operand: Node, height: int = 0) -> None:
        """Join an operand to the expression so far, with the operator read before it."""
        operator = self.pending[0] if self.pending else "AND"
        self.pending = None
        if not self.operands:
            self.operands = [_EVERYTHING, operand] if operator == "NOT" else [operand]
            self.joined = operator if operator == "NOT" else None
        elif self.joined in (None, operator):
            self.operands.append(operand)
            self.joined = operator
        else:
            self.operands = [self.node(), operand]
            self.joined = operator
            self.height += 1
        self.height = max(self.height, height)

    def node(self) -> Node:
        """Return what was read as one node."""
        return Combined(self.joined, tuple(self.operands)) if self.joined else self.operands[0]


class _Parser:
    """Reads one line."""

    def __init__(self, source: Source, today: date, lines: dict[int, int]) -> None:
        self.source = source
        self.today = today
        self.lines = lines
        self.notes: list[str] = []
        self.terms = 0
        self.groups = [_Group(0)]
        self.run: list[Piece] = []
        self.phrase: Piece | None = None

    def parse(self) -> Node:
        at = 0
        pieces = self.source.pieces()
        while True:
            piece = next(pieces, None)
            if piece is None:
                break
            dates = self._dates(piece) if piece.kind in ("word", "quoted") else None
            if dates is not None:
                at = dates
                pieces = self.source.pieces(at)
                continue
            self._read(piece)
        self._flush()
        self._check_lines()
        if len(self.groups) > 1:
            raise self.source.error(self.groups[-1].start, "this parenthesis is never closed")
        return self._ended(len(self.source.text), "the strategy is empty: write a term, such as aspirin[tiab]")

    def _check_lines(self) -> None:
        """Refuse numbers alone, which other databases call lines by: `1 and 2`, `S1 OR S2`."""
        pieces = [piece for piece in self.source.pieces() if piece.kind not in ("open", "close")]
        numbers = [piece for piece in pieces if piece.value.upper() not in _OPERATORS]
        is_line = all(piece.kind == "word" and _LINE_ELSEWHERE.fullmatch(piece.value) for piece in numbers)
        if is_line and len(pieces) > len(numbers) > 1:
            raise self.source.error(
                numbers[0].start, f"{numbers[0].value} is searched as a word: write #1 AND #2 to refer to lines"
            )

    def _read(self, piece: Piece) -> None:
        if piece.kind == "tag":
            self._tagged(piece)
        elif piece.kind == "quoted":
            self._flush()
            self.phrase = piece
        elif piece.kind == "open":
            self._flush()
            if len(self.groups) > MAX_DEPTH:
                raise self.source.error(piece.start, f"parentheses are nested too deep: at most {MAX_DEPTH}")
            self.groups.append(_Group(piece.start))
        elif piece.kind == "close":
            self._flush()
            if len(self.groups) == 1:
                raise self.source.error(piece.start, "nothing opens this parenthesis")
            node = self._ended(piece.start, "nothing stands between the parentheses")
            height = self.groups.pop().height
            self._add(node, piece.start, height + 1)
        else:
            self._word(piece)

    def _word(self, piece: Piece) -> None:
        if self.phrase is not None:
            self._flush()
        reference = _REFERENCE.fullmatch(piece.value)
        if piece.value in _OPERATORS:
            self._flush()
            self._operator(_OPERATORS[piece.value], piece)
        elif reference:
            self._flush()
            self._reference(int(reference[1]), piece)
        elif not any(map(str.isalnum, piece.value)):
            self._flush()
            if piece.value not in (",", ";", ".", "-", ":"):
                self.notes.append(f"{piece.value!r} is ignored: it stands for nothing here")
        else:
            self.run.append(piece)

    def _ended(self, position: int, message: str) -> Node:
        group = self.groups[-1]
        if group.pending:
            raise self.source.error(group.pending[1], f"nothing follows {group.pending[0]}")
        if not group.operands:
            raise self.source.error(position, message)
        return group.node()

    def _operator(self, operator: Operator, piece: Piece) -> None:
        group = self.groups[-1]
        if group.pending and (operator != "NOT" or group.pending[0] != "AND"):
            raise self.source.error(piece.start, f"{operator} follows {group.pending[0]}: put a term between them")
        if not group.operands and operator != "NOT":
            raise self.source.error(piece.start, f"nothing stands before {operator}")
        group.pending = (operator, piece.start)

    def _reference(self, number: int, piece: Piece) -> None:
        if number not in self.lines:
            known = f"the lines before are #1 to #{max(self.lines)}" if self.lines else "no numbered line is before it"
            raise self.source.error(piece.start, f"there is no line #{number} to refer to: {known}")
        self._add(LineReference(number, piece.start), piece.start, terms=self.lines[number])

    def _add(self, node: Node, position: int, height: int = 0, *, terms: int = 0) -> None:
        group = self.groups[-1]
        group.add(node, height)
        if group.height > MAX_DEPTH:
            raise self.source.error(
                position,
                f"AND, OR and NOT take turns more than {MAX_DEPTH} times: put what belongs together in parentheses",
            )
        self.terms += terms
        if self.terms > MAX_TERMS:
            raise self.source.error(position, f"the strategy has more than {MAX_TERMS:,} terms: split it")

    # Words without a tag ----------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Add what was read and carries no tag."""
        phrase, self.phrase = self.phrase, None
        run, self.run = self.run, []
        if phrase is not None:
            self._term(phrase, [], None)
        self._untagged(run)

    def _untagged(self, run: list[Piece]) -> None:
        if run and len(run) > 1 and all(_NUMBER.fullmatch(piece.value) for piece in run):
            numbers = tuple(Term(piece.value.rstrip(","), "pmid", start=piece.start) for piece in run)
            self._add(Combined("OR", numbers), run[0].start, 1, terms=len(numbers))
            return
        words: list[Piece] = []
        for piece in run:
            operator = _OPERATORS.get(piece.value.upper())
            word = piece.value.lower().strip(".,;")
            if _UNTAGGED_RANGE.fullmatch(piece.value):
                self.notes.append(
                    f"{piece.value} was searched as words: write {piece.value}[dp] for dates of publication"
                )
            if operator or word in FILTER_WORDS or piece.value.endswith("*"):
                self._words(words)
                words = []
            if operator:
                self._lower_case(operator, piece)
            elif word in FILTER_WORDS:
                self._add(Term(word, "sb", start=piece.start), piece.start, terms=1)
            elif piece.value.endswith("*"):
                self._words([piece])
            else:
                words.append(piece)
        self._words(words)

    def _words(self, words: list[Piece]) -> None:
        if words:
            self._term(None, words, None)

    def _lower_case(self, operator: Operator, piece: Piece) -> None:
        self.notes.append(f"`{piece.value}` was read as {operator}")
        self._operator(operator, piece)

    # Terms with a tag -------------------------------------------------------------------------------------------------

    def _tagged(self, piece: Piece) -> None:
        field, distance, explode = self._field(piece)
        if self.phrase is not None:
            phrase, self.phrase = self.phrase, None
            self._term(phrase, [], field, distance, explode)
            return
        run, self.run = self.run, []
        # Only a vocabulary has names with a lower-case `and`; a text has operators.
        leading = len(run) if not field.vocabulary else 1
        cut = (
            next((i for i in range(len(run) - 1, -1, -1) if run[i].value.upper() in _OPERATORS and i < leading), -1) + 1
        )
        if field.kind == "date":
            cut = max(cut, len(run) - (3 if len(run) > 2 and run[-3].value.lower() == "last" else 1))
        elif field.kind == "pmid":
            cut = max(cut, len(run) - 1)
            while cut and run[cut - 1].value.strip(",").isdigit() and run[cut].value.strip(",").isdigit():
                cut -= 1
        self._untagged(run[:cut])
        if not run[cut:]:
            group = self.groups[-1]
            if group.operands and not group.pending:
                raise self.source.error(
                    piece.start,
                    f"[{piece.value}] belongs to one term: tag each, as in a[{piece.value}] OR b[{piece.value}]",
                )
            raise self.source.error(piece.start, f"nothing stands before [{piece.value}]: write the term, then its tag")
        if field.kind == "pmid" and len(run[cut:]) > 1:
            numbers = tuple(Term(word.value.strip(","), "pmid", start=word.start) for word in run[cut:])
            self._add(Combined("OR", numbers), piece.start, 1, terms=len(numbers))
            return
        self._term(None, run[cut:], field, distance, explode)

    def _field(self, piece: Piece) -> tuple[Field, int | None, bool]:
        """Return the field of a tag, the distance of a proximity search, and whether narrower values count too."""
        name, distance, explode = piece.value, None, True
        if len(name) > _LONGEST_TAG:
            raise self.source.error(piece.start, "brackets hold the tag of a field, such as [tiab]")
        match = _DISTANCE.fullmatch(name)
        if match:
            name, distance = match[1], int(match[2])
        else:
            match = _NOEXP.fullmatch(name)
            if match and match[1]:
                name, explode = match[1], False
        field = field_of(name)
        if field is None:
            raise self.source.error(piece.start, f"no field [{piece.value}]: the nearest are {nearest_tags(name)}")
        if distance is not None and not field.takes_distance:
            raise self.source.error(piece.start, "proximity is for words in [tiab], [ti], [ab] and [ad]")
        if not explode and not field.takes_noexp:
            raise self.source.error(piece.start, "noexp is for [mh], [majr], [sh] and [pt]")
        return field, distance, explode

    def _term(
        self,
        phrase: Piece | None,
        words: list[Piece],
        field: Field | None,
        distance: int | None = None,
        explode: bool = True,
    ) -> None:
        start = phrase.start if phrase else words[0].start
        for piece in words if field is None or field.kind == "words" else ():
            self._check_foreign(piece)
        text = phrase.value if phrase else " ".join(piece.value for piece in words)
        if field is not None and field.kind == "date":
            self._add(self._single_date(text, field, start), start, terms=1)
            return
        if field is not None and field.kind == "pmid" and not text.strip().isdigit():
            raise self.source.error(
                start, f"{text.strip()!r} is not a valid PMID: a PMID is a number, such as 17170002"
            )
        text, truncated = self._truncation(text.strip(), start)
        if not folded_words(text):
            raise self.source.error(start, "no letter or digit to search for")
        if distance is not None:
            self._check_proximity(phrase, text, truncated, distance, start)
        tag = "all" if field is None else field.tag
        term = Term(text, tag, phrase is not None, truncated, explode, distance, start)
        self._add(term, start, terms=1)

    def _truncation(self, text: str, start: int) -> tuple[str, bool]:
        if text.startswith("*"):
            self.notes.append(
                f"the asterisk before {text.lstrip('*')!r} is ignored: PubMed truncates at the end of a word"
            )
            text = text.lstrip("* ")
        truncated = text.endswith("*")
        text = text.rstrip("* ")
        if "*" in text:
            raise self.source.error(start, "an asterisk stands only at the end of the last word")
        if truncated and sum(map(len, folded_words(text))) < 4:
            raise self.source.error(start, "truncation needs at least four letters before the asterisk")
        return text, truncated

    def _check_proximity(self, phrase: Piece | None, text: str, truncated: bool, distance: int, start: int) -> None:
        if phrase is None:
            raise self.source.error(start, 'put the words of a proximity search in quotes: "hip pain"[tiab:~3]')
        if truncated:
            raise self.source.error(start, "proximity and truncation do not go together, as in PubMed")
        if distance > MAX_DISTANCE:
            raise self.source.error(start, f"words of a proximity search are at most {MAX_DISTANCE:,} apart")
        if not 2 <= len(folded_words(text)) <= MAX_NEAR:
            raise self.source.error(start, f"a proximity search needs two words, and takes at most {MAX_NEAR}")

    def _check_foreign(self, piece: Piece) -> None:
        for pattern, hint in _FOREIGN:
            if pattern.fullmatch(piece.value):
                raise self.source.error(piece.start, f"{piece.value!r} is not PubMed's language: {hint}")

    # Dates ------------------------------------------------------------------------------------------------------------

    def _dates(self, piece: Piece) -> int | None:
        """Add the range of dates that begins here, and return where it ends, or None."""
        if not piece.value[:1].isdigit():
            return None
        match = _RANGE.match(self.source.text, piece.start)
        if match is None:
            return None
        field = field_of(match[4])
        if field is None or field.kind != "date" or (match[2] is not None and field_of(match[2]) is not field):
            return None
        self._flush()
        first, last = self._day(match[1], piece.start)[0], self._day(match[3], match.start(3))[1]
        if first > last:
            raise self.source.error(piece.start, "the range of dates runs backwards: swap the two")
        self._add(DateRange(field.tag, first, last, start=piece.start), piece.start, terms=1)
        return match.end()

    def _single_date(self, text: str, field: Field, start: int) -> DateRange:
        match = _LAST.fullmatch(" ".join(text.split()))
        if match:
            return DateRange(field.tag, self._ago(int(match[1] or 1), match[2].lower()), 30_001_231, start=start)
        if not _DATE.fullmatch(text.strip()):
            raise self.source.error(
                start, f'[{field.tag}] needs a form such as 2015, 2015/03/17, 2015:2020 or "last 5 years" before it'
            )
        first, last = self._day(text.strip(), start)
        return DateRange(field.tag, first, last, single=True, start=start)

    def _day(self, text: str, position: int) -> tuple[int, int]:
        """Return the first and the last day (yyyymmdd) of a year, a month or a day."""
        year, *rest = map(int, re.split("[/-]", text))
        month, day = (*rest, 0, 0)[:2]
        if month > 12 or day > 31 or (rest and not month) or (len(rest) > 1 and not day):
            raise self.source.error(position, f"{text} is not a date: write year/month/day, such as 2015/03/17")
        first = year * 10_000 + (month or 1) * 100 + (day or 1)
        return first, year * 10_000 + (month or 12) * 100 + (day or 31)

    def _ago(self, number: int, unit: str) -> int:
        today = self.today
        if unit == "day":
            day = today - timedelta(days=min(number, today.toordinal() - 1))
            return yyyymmdd(day)
        months = today.year * 12 + today.month - 1 - number * (12 if unit == "year" else 1)
        return max(0, months // 12) * 10_000 + (months % 12 + 1) * 100 + today.day
