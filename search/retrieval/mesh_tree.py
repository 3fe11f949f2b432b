"""The MeSH tree: what lies below a descriptor, from one of NLM's own files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from search.errors import QueryError
from search.normalize import name_key

__all__ = ["MeshTree"]

_TREE_NUMBER = re.compile(r"[A-Z]\d\d(\.\d{3})*")


class MeshTree:
    """Descriptors by their tree numbers.

    Reads NLM's `mtreesYYYY.bin` (`Body Regions;A01`) or `dYYYY.bin` (the ASCII MeSH, which has the UIs too). Raises
    QueryError if the file is neither.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            lines = Path(path).read_text("utf-8", "replace").splitlines()
        except OSError as error:
            raise QueryError(f"{path}: {error.strerror}") from error
        self._names: dict[str, str] = {}
        self._numbers: defaultdict[str, list[str]] = defaultdict(list)
        for names, number in _ascii_mesh(lines) if any(line == "*NEWRECORD" for line in lines) else _mtrees(lines):
            self._names[number] = names[0]
            for name in names:
                self._numbers[name_key(name)].append(number)
        if not self._names:
            raise QueryError(f"{path} is no MeSH tree: give NLM's mtreesYYYY.bin or dYYYY.bin")
        self._sorted = sorted(self._names)

    def below(self, descriptor: str) -> list[str]:
        """Return the names of the descriptors below one, given by its name or UI, in order; nothing if unknown."""
        from bisect import bisect_left

        found: dict[str, None] = {}
        for number in self._numbers.get(name_key(descriptor), ()):
            place = bisect_left(self._sorted, number + ".")
            while place < len(self._sorted) and self._sorted[place].startswith(number + "."):
                found[self._names[self._sorted[place]]] = None
                place += 1
        return sorted(found)


def _mtrees(lines: Iterable[str]) -> Iterable[tuple[list[str], str]]:
    for line in lines:
        name, _, number = line.rpartition(";")
        if name and _TREE_NUMBER.fullmatch(number.strip()):
            yield [name.strip()], number.strip()


def _ascii_mesh(lines: Iterable[str]) -> Iterable[tuple[list[str], str]]:
    name, ui, numbers = "", "", list[str]()
    for line in (*lines, "*NEWRECORD"):
        key, _, value = line.partition(" = ")
        if line == "*NEWRECORD":
            yield from (([part for part in (name, ui) if part], number) for number in numbers if name)
            name, ui, numbers = "", "", []
        elif key == "MH":
            name = value.strip()
        elif key == "UI":
            ui = value.strip()
        elif key == "MN":
            numbers.append(value.strip())
