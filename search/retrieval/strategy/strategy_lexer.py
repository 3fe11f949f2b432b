"""A strategy's text cut into pieces, with pasted typography made plain, and errors that point at a character."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from search.errors import QueryError

__all__ = ["Piece", "Source", "plain_typography"]

#: What word processors, web pages and other keyboards put in place of plain characters; each stays one character,
#: so that a place in the text stays the place that a person sees.
_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»＂″〝〞", '"'),
        **dict.fromkeys("‘’‚‛′＇`´", "'"),
        **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
        **dict.fromkeys("\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " "),
        **dict.fromkeys("\u200b\u200e\u200f\u202f\u205f\u2060\u3000\ufeff\t\x00", " "),
        **dict.fromkeys("\u2028\u2029\x0b\x0c\x85", "\n"),
        "（": "(", "）": ")", "［": "[", "］": "]", "＊": "*", "∗": "*", "：": ":", "～": "~", "∼": "~", "˜": "~",
        "＃": "#", "＆": "&", "｜": "|", "／": "/", "⁄": "/",
    }
)  # fmt: skip

_PIECE = re.compile(
    r"""(?P<space>\s+)|(?P<quote>"+)|(?P<tag>\[[^\[\]]*\]?)|(?P<open>\()|(?P<close>\))|(?P<word>[^\s()"\[\]]+)|(?P<stray>\])""",
)
_SHOWN_BEFORE, _SHOWN_AFTER = 50, 30


class Piece(NamedTuple):
    """A piece of a strategy: `word`, `quoted`, `tag` (without brackets), `open` or `close`, and where it begins."""

    kind: str
    value: str
    start: int
    end: int


def plain_typography(text: str) -> str:
    """Return the text with curly quotes, dashes, wide and invisible characters as plain ones, each in its place."""
    return text.translate(_TYPOGRAPHY).replace("\r\n", " \n").replace("\r", "\n")


class Source(NamedTuple):
    """The text of one line of a strategy; `line` is its number, 0 where there is only one."""

    text: str
    line: int = 0

    def error(self, position: int, message: str) -> QueryError:
        """Return an error that shows the text around a character, with a caret under it."""
        position = min(position, len(self.text))
        first, last = max(0, position - _SHOWN_BEFORE), position + _SHOWN_AFTER
        shown = "".join(character if character.isprintable() else " " for character in self.text[first:last])
        ahead, behind = "…" * (first > 0), "…" * (last < len(self.text))
        caret = " " * (len(ahead) + position - first) + "^"
        where = f"line {self.line}, character {position + 1}" if self.line else f"character {position + 1}"
        return QueryError(f"cannot read the strategy at {where}: {message}\n  {ahead}{shown}{behind}\n  {caret}")

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """Yield the pieces from a place on, in a time that grows as the text does.

        Raises QueryError where quotation marks or brackets do not close.
        """
        at = start
        while at < len(self.text):
            match = _PIECE.match(self.text, at)
            if match is None or match.lastgroup == "stray":
                raise self.error(at, "nothing opens this bracket")
            at = match.end()
            if match.lastgroup == "quote":
                piece = self._quoted(match)
                at = piece.end
                yield piece
            elif match.lastgroup == "tag":
                if not match[0].endswith("]"):
                    raise self.error(match.start(), "this bracket is never closed")
                yield Piece("tag", match[0][1:-1].strip(), match.start(), at)
            elif match.lastgroup != "space":
                yield Piece(str(match.lastgroup), match[0], match.start(), at)

    def _quoted(self, opening: re.Match[str]) -> Piece:
        """Return a phrase in quotation marks; those that a spreadsheet has doubled count as one."""
        start, first = opening.start(), opening.end()
        following = self.text[first : first + 1]
        if len(opening[0]) > 1 and (not following or following.isspace() or following in "[)"):
            raise self.error(start, "nothing stands between the quotation marks")
        last = self.text.find('"', first)
        if last < 0:
            raise self.error(start, "this quotation mark is never closed")
        end = last + 1
        while len(opening[0]) > 1 and self.text[end : end + 1] == '"':
            end += 1
        return Piece("quoted", self.text[first:last], start, end)
