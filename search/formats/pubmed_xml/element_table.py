"""A run of XML as a table of its elements, found with array operations instead of one step for each element.

NLM's files hold hundreds of elements a record, and a parser that makes an object of each takes most of the time of
reading them. Here the places of all `<` and `>` are found at once, and from these the name, parent, text and nesting of
every element, in arrays; texts are cut out only where they are asked for. All tags are checked to be closed in order.

The table takes plain XML only: elements, attributes, text and character references, in UTF-8. Whatever else XML allows
(comments, CDATA, processing instructions, `>` in an attribute), and everything that is broken, raises NotPlainError;
then the XML parser judges and writes it out plain (`medline_xml`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["ElementTable", "NotPlainError", "Rows", "forget_attributes", "with_characters"]

#: Elements of a table by their number, in the order of the document.
Rows = NDArray[np.int64]

_LESS_THAN, _GREATER_THAN, _SLASH, _SPACE = b"<>/ "

#: Deeper than any record; each level costs a search through the table.
_MAX_DEPTH = 100

_EVERY_BYTE = 0x0101010101010101
_FIRST_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)

_SHORT_KEYS = 1 << 12
_SHORT_KEY = np.uint64(64 - 12)

_HEAD = re.compile(r"""[^\s/>"'=]+((?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*/?""")
_ATTRIBUTE = re.compile(r"""\s+([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6}));")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_NO_CHARACTERS = frozenset(map(chr, (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))


class NotPlainError(Exception):
    """A run of XML is broken, or uses what only an XML parser should read."""


def _keys(words: NDArray[np.uint64], starts: Rows, ends: Rows) -> NDArray[np.uint64]:
    """Return a number for each name that begins at `starts`: its first 24 bytes, up to a space or the end, mixed."""
    keys = np.zeros(len(starts), dtype=np.uint64)
    rest = np.arange(len(starts))
    for mixer in _MIXERS:
        lengths = ends - starts
        word = words[starts] & _FIRST_BYTES[np.minimum(lengths, 8)]
        # The highest bit of each byte that is a space or less, lowest byte first; what follows the first is cut off.
        low = (word - np.uint64(_EVERY_BYTE * 0x21)) & ~word & np.uint64(_EVERY_BYTE * 0x80)
        keep = ((low & (~low + np.uint64(1))) >> np.uint64(7)) - np.uint64(1)
        keys[rest] += (word & keep) * np.uint64(mixer)
        longer = np.flatnonzero((low == 0) & (lengths > 8))
        if not len(longer):
            break
        rest = rest[longer]
        starts, ends = starts[longer] + 8, ends[longer]
    return keys


@lru_cache(maxsize=1024)
def _key(name: str) -> tuple[np.uint64, int]:
    """Return the number that stands for a name, and its highest bits."""
    text = name.encode().ljust(32, b"\0")
    words = np.ndarray((len(text) - 7,), dtype="<u8", buffer=text, strides=(1,))
    key = _keys(words, np.array([0]), np.array([len(name)]))[0]
    return key, int(key >> _SHORT_KEY)


class ElementTable:
    """The elements of a run of plain XML.

    Raises NotPlainError if the run is not plain, or if its tags are not closed in order.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        # The bytes after the end are there for names to be read in words of eight.
        self._data = b"".join((*parts, bytes(40)))
        padded = np.frombuffer(self._data, dtype=np.uint8)
        words = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=self._data, strides=(1,))
        begins, ends = self._find_tags(padded)
        closing = padded[begins + 1] == _SLASH
        empty = (padded[ends - 1] == _SLASH) & ~closing
        keys = _keys(words, begins + 1 + closing, ends - empty)
        levels = np.cumsum(np.where(closing, -1, 1) * ~empty)
        # An element and its end tag stand on the same level, the outermost on 1.
        levels += closing | empty
        if not len(begins) or levels[-1] != 1 or levels.min() < 1 or levels.max() > _MAX_DEPTH:
            raise NotPlainError("tags are not closed in order")
        closed_at = self._match(keys, levels, closing, empty)

        opening = np.flatnonzero(~closing)
        self._keys = keys[opening]
        self._heads = begins[opening] + 1
        self._starts = ends[opening] + 1
        self._ends = np.where(empty[opening], self._starts, begins[closed_at[opening]])
        self._levels = levels[opening]
        self._parents = self._find_parents()
        self._has_children = np.zeros(len(opening) + 1, dtype=bool)
        self._has_children[self._parents] = True
        # The rows in the order of their names, by so few bits of the keys that they sort fast, and where each begins.
        short = (self._keys >> _SHORT_KEY).astype(np.uint16)
        self._by_name = np.argsort(short, kind="stable")
        self._bounds = np.cumsum(np.bincount(short, minlength=_SHORT_KEYS + 1)).tolist()
        self._named_rows: dict[str, Rows] = {}
        self._places = np.full(len(opening) + 1, -1, dtype=np.int64)

    @staticmethod
    def _find_tags(padded: NDArray[np.uint8]) -> tuple[Rows, Rows]:
        """Return the places of the `<` and of the `>` of each tag."""
        # The two bytes differ in one bit, so one look finds both; where all is plain, they alternate.
        marks = np.flatnonzero((padded | (_LESS_THAN ^ _GREATER_THAN)) == _GREATER_THAN)
        begins, ends = marks[0::2], marks[1::2]
        if len(begins) != len(ends) or (padded[begins] != _LESS_THAN).any() or (padded[ends] != _GREATER_THAN).any():
            raise NotPlainError("a tag is not closed, or `>` stands in a text")
        return begins, ends

    @staticmethod
    def _match(keys: NDArray[np.uint64], levels: Rows, closing: NDArray[np.bool_], empty: NDArray[np.bool_]) -> Rows:
        """Return for each start tag the number of its end tag, after checking that their names are the same."""
        tags = np.flatnonzero(~empty)
        # Taken level by level, start tags and end tags must alternate.
        tags = tags[np.argsort(levels[tags].astype(np.int8), kind="stable")]
        starts, ends = tags[0::2], tags[1::2]
        if closing[starts].any() or not closing[ends].all() or (keys[starts] != keys[ends]).any():
            raise NotPlainError("tags are not closed in order")
        closed_at = np.zeros(len(levels), dtype=np.int64)
        closed_at[starts] = ends
        return closed_at

    def _find_parents(self) -> Rows:
        """Return the number of each element's parent; -1 for the outermost."""
        parents = np.full(len(self._levels), -1, dtype=np.int64)
        order = np.argsort(self._levels.astype(np.int8), kind="stable")
        bounds = np.searchsorted(self._levels[order], np.arange(1, self._levels.max() + 2))
        for level in range(1, len(bounds) - 1):
            above = order[bounds[level - 1] : bounds[level]]
            here = order[bounds[level] : bounds[level + 1]]
            parents[here] = above[np.searchsorted(above, here) - 1]
        return parents

    def _cut(self, starts: Rows, ends: Rows) -> list[bytes]:
        data = self._data
        return [data[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]

    def outermost(self) -> Rows:
        """Return the elements that stand in no other."""
        return np.flatnonzero(self._levels == 1)

    def name(self, row: int) -> str:
        """Return the name of an element."""
        head = self._data[self._heads[row] : self._starts[row] - 1]
        return re.split(rb"[\s/]", head, maxsplit=1)[0].decode()

    def children(self, parents: Rows, *names: str) -> tuple[Rows, Rows]:
        """Return the children with one of the names, and for each the place of its parent in `parents` (rising)."""
        rows = self._named(names[0])
        if len(names) > 1:
            rows = np.sort(np.concatenate([rows, *map(self._named, names[1:])]))
        # The parent of an outermost element is -1, the last entry, which stays -1 as no element has that number.
        self._places[parents] = np.arange(len(parents))
        owners = self._places[self._parents[rows]]
        self._places[parents] = -1
        inside = owners >= 0
        return (rows, owners) if np.count_nonzero(inside) == len(rows) else (rows[inside], owners[inside])

    def _named(self, name: str) -> Rows:
        """Return all elements of a name."""
        rows = self._named_rows.get(name)
        if rows is None:
            key, short = _key(name)
            rows = self._by_name[self._bounds[short - 1] if short else 0 : self._bounds[short]]
            rows = self._named_rows[name] = rows[self._keys[rows] == key]
        return rows

    def attributes(self, rows: Rows) -> list[dict[str, str]]:
        """Return the attributes of each element."""
        return list(map(_attributes_of, self._cut(self._heads[rows], self._starts[rows] - 1)))

    def contents(self, rows: Rows) -> list[bytes]:
        """Return what stands between the tags of each element."""
        return self._cut(self._starts[rows], self._ends[rows])

    def own_content(self, row: int) -> bytes:
        """Return what stands in an element before its first child."""
        return self._data[self._starts[row] : self._ends[row]].partition(b"<")[0]

    def have_children(self, rows: Rows) -> NDArray[np.bool_] | None:
        """Return for each element whether it holds elements; None if none of them does."""
        having = self._has_children[rows]
        return having if np.count_nonzero(having) else None


@lru_cache(maxsize=65536)
def _attributes_of(head: bytes) -> dict[str, str]:
    """Return the attributes in the head of a tag (`Author ValidYN="Y"`)."""
    text = head.decode()
    if "=" not in text:
        return {}
    # The names stand before the values: `Author ValidYN=`, `Y`, ``.
    *pairs, rest = text.split('"')
    if rest or len(pairs) % 2 or not text.isprintable() or any(odd in text for odd in ("'", "&", "  ", " =", "= ")):
        return _odd_attributes(text)
    return {name[name.rfind(" ") + 1 : -1]: value for name, value in zip(pairs[::2], pairs[1::2], strict=True)}


#: Clears the cache of attributes seen so far.
forget_attributes = _attributes_of.cache_clear


def _odd_attributes(head: str) -> dict[str, str]:
    """Return the attributes in a head that holds more than names and values in double quotes."""
    match = _HEAD.fullmatch(head)
    if not match:
        raise NotPlainError(f"a tag that is not plain: {head[:60]!r}")
    return {
        name: " ".join(with_characters(value or other).split()) for name, value, other in _ATTRIBUTE.findall(match[1])
    }


def with_characters(text: str) -> str:
    """Return the text with the characters that its references stand for."""
    if "&" in text:
        if len(_REFERENCE.findall(text)) != text.count("&"):
            raise NotPlainError("an entity that XML does not define")
        text = _REFERENCE.sub(_character, text)
    return text


def _character(match: re.Match[str]) -> str:
    name, decimal, hexadecimal = match.groups()
    if name:
        return _ENTITIES[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF or chr(number) in _NO_CHARACTERS:
        raise NotPlainError("a reference to no character")
    return chr(number)
