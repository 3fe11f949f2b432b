"""MeSH, from NLM's own files: the headings with their entry terms, and what lies below each in the tree."""

from __future__ import annotations

import gzip
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from search.errors import QueryError
from search.files import cache_folder, write_cached
from search.normalize import folded_words, name_key

__all__ = ["MeshTree", "MeshTreeHeading", "add_mesh", "installed_mesh", "load_mesh"]


class MeshTreeHeading(msgspec.Struct, frozen=True, array_like=True):
    """A descriptor: its name, its UI, its places in the tree, and the other names that stand for it."""

    name: str
    ui: str = ""
    numbers: tuple[str, ...] = ()
    entry_terms: tuple[str, ...] = ()


class MeshTree:
    """The headings of MeSH.

    Reads NLM's `descYYYY.xml`, `dYYYY.bin` (the ASCII MeSH) or `mtreesYYYY.bin` (names and places alone), gzipped or
    not, and what `search mesh add` has kept. Raises QueryError if the file is in neither format.
    """

    def __init__(self, path: str | Path) -> None:
        self.headings = _read(Path(path))
        self._by_number: dict[str, MeshTreeHeading] = {}
        self._by_name: dict[str, MeshTreeHeading] = {}
        for heading in self.headings:
            self._by_number.update(dict.fromkeys(heading.numbers, heading))
            for term in heading.entry_terms:
                self._by_name.setdefault(_key(term), heading)
        for heading in self.headings:
            self._by_name.update({_key(name): heading for name in (heading.ui, heading.name) if name})
        self._numbers = sorted(self._by_number)
        self._names: list[tuple[str, str, MeshTreeHeading]] | None = None

    def heading(self, name: str) -> MeshTreeHeading | None:
        """Return the heading with this name, UI or entry term, ignoring case and punctuation, or None."""
        return self._by_name.get(_key(name))

    def beginning(self, prefix: str, limit: int) -> list[tuple[str, MeshTreeHeading]]:
        """Return up to `limit` names and entry terms that begin with a text, in order, each with its heading."""
        if self._names is None:
            names = ((name, heading) for heading in self.headings for name in (heading.name, *heading.entry_terms))
            self._names = sorted(((_key(name), name, heading) for name, heading in names), key=lambda row: row[:2])
        key = _key(prefix)
        first = bisect_left(self._names, key, key=lambda row: row[0])
        rows = takewhile(lambda row: row[0].startswith(key), self._names[first : first + limit])
        return [(name, heading) for _, name, heading in rows]

    def below(self, name: str) -> list[str]:
        """Return the names of the headings below one, in order; nothing if it is unknown.

        An entry term or a UI stands for its heading, which then comes first.
        """
        heading = self.heading(name)
        if heading is None:
            return []
        headings: set[str] = set()
        for number in heading.numbers:
            position = bisect_left(self._numbers, number + ".")
            while position < len(self._numbers) and self._numbers[position].startswith(number + "."):
                headings.add(self._by_number[self._numbers[position]].name)
                position += 1
        itself = [] if name_key(heading.name) == name_key(name) else [heading.name]
        return [*itself, *sorted(headings)]


def installed_mesh() -> Path:
    """Return where `search mesh add` keeps MeSH for this installation."""
    return cache_folder() / "mesh.json"


def load_mesh(path: str | Path | None) -> MeshTree | None:
    """Return the MeSH of a file; without a file, the one added to this installation, or None."""
    if path is not None:
        return MeshTree(path)
    installed = installed_mesh()
    return MeshTree(installed) if installed.exists() else None


def add_mesh(path: str | Path) -> int:
    """Keep the MeSH of one of NLM's files for this installation, and return how many headings it has."""
    tree = MeshTree(path)
    write_cached(installed_mesh(), msgspec.json.encode({"mesh": tree.headings}))
    return len(tree.headings)


def _key(name: str) -> str:
    return " ".join(folded_words(name))


def _read(path: Path) -> list[MeshTreeHeading]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as stream:
            start = stream.read(64).lstrip(b"\xef\xbb\xbf \n")
            stream.seek(0)
            if start.startswith(b'{"mesh"'):
                headings = msgspec.json.decode(stream.read(), type=dict[str, list[MeshTreeHeading]])["mesh"]
            elif start.startswith(b"<"):
                headings = list(_xml(stream))
            else:
                lines = stream.read().decode("utf-8", "replace").splitlines()
                ascii_mesh = any(line == "*NEWRECORD" for line in lines)
                headings = list(_ascii(lines) if ascii_mesh else _mtrees(lines))
    except (OSError, EOFError) as error:
        raise QueryError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    except (msgspec.MsgspecError, SyntaxError) as error:
        raise QueryError(f"{path} is damaged: {error}") from error
    if not any(heading.numbers for heading in headings):
        raise QueryError(f"{path} is not MeSH: give NLM's descYYYY.xml, dYYYY.bin or mtreesYYYY.bin")
    return headings


def _mtrees(lines: Iterable[str]) -> Iterator[MeshTreeHeading]:
    """Read `Body Regions;A01`."""
    numbers: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        name, _, number = line.rpartition(";")
        if name and _is_number(number.strip()):
            numbers[name.strip()].append(number.strip())
    yield from (MeshTreeHeading(name, numbers=tuple(some)) for name, some in numbers.items())


def _is_number(text: str) -> bool:
    first, *rest = text.split(".")
    return len(first) == 3 and first[0].isupper() and first[1:].isdigit() and all(part.isdigit() for part in rest)


def _ascii(lines: Iterable[str]) -> Iterator[MeshTreeHeading]:
    """Read records of `MH = name`, `UI = D000001`, `MN = A01.111`, `ENTRY = term|T047|...`."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for line in (*lines, "*NEWRECORD"):
        if line == "*NEWRECORD":
            if fields["MH"]:
                entries = [value.partition("|")[0] for value in (*fields["ENTRY"], *fields["PRINT ENTRY"])]
                ui = "".join(fields["UI"][:1])
                yield MeshTreeHeading(fields["MH"][0], ui, tuple(fields["MN"]), tuple(entries))
            fields.clear()
        else:
            key, equals, value = line.partition(" = ")
            if equals:
                fields[key].append(value.strip())


def _xml(stream: Any) -> Iterator[MeshTreeHeading]:
    """Read the `DescriptorRecord`s of NLM's XML, one at a time."""
    from lxml import etree

    records = etree.iterparse(stream, tag="DescriptorRecord", resolve_entities=False, no_network=True, load_dtd=False)
    for _, record in records:
        name = record.findtext("DescriptorName/String", "").strip()
        terms = [term.text or "" for term in record.iterfind("ConceptList/Concept/TermList/Term/String")]
        numbers = [number.text or "" for number in record.iterfind("TreeNumberList/TreeNumber")]
        entries = tuple(term for term in dict.fromkeys(map(str.strip, terms)) if term and term != name)
        yield MeshTreeHeading(name, record.findtext("DescriptorUI", ""), tuple(numbers), entries)
        record.clear()
        while record.getprevious() is not None:
            del record.getparent()[0]
