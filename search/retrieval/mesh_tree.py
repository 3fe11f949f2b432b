"""MeSH, from NLM's own files: headings and supplementary concepts with their other names, and the tree."""

from __future__ import annotations

import difflib
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from search.errors import QueryError
from search.files import cache_folder, replace_file
from search.formats.mesh_records import MeshRecord, read_mesh
from search.normalize import folded_words, name_key

__all__ = ["MeshTree", "add_mesh", "installed_mesh", "load_mesh"]

_SQLITE = b"SQLite format 3\x00"

#: A record is found by its name, else its UI, else another name; descriptors come before supplementary concepts.
_SUPPLEMENTARY = 3

_SCHEMA = """
CREATE TABLE record (id INTEGER PRIMARY KEY, supplementary INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
CREATE TABLE name (key TEXT, rank INTEGER, record INTEGER, PRIMARY KEY (key, rank, record)) STRICT, WITHOUT ROWID;
CREATE TABLE place (number TEXT PRIMARY KEY, record INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE action (key TEXT, record INTEGER, PRIMARY KEY (key, record)) STRICT, WITHOUT ROWID;
"""

_RECORDS_KEPT = 20_000


class MeshTree:
    """The headings of MeSH, and its supplementary concepts where they were added.

    Reads what `search mesh add` keeps, or one of NLM's files (`search.formats.mesh_records`), which takes a while.
    Raises QueryError if the file is neither. May be used by several threads.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._database = _opened(self._path)
        self._close = weakref.finalize(self, self._database.close)
        self._lock = threading.Lock()
        self._named = lru_cache(_RECORDS_KEPT)(self._find)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def heading(self, name: str) -> MeshRecord | None:
        """Return the heading with this name, UI or entry term, ignoring case and punctuation, or None."""
        return self._named(_key(name), False)

    def concept(self, name: str) -> MeshRecord | None:
        """Return the supplementary concept with this name, UI or other name, or None."""
        return self._named(_key(name), True)

    def _find(self, key: str, supplementary: bool) -> MeshRecord | None:
        compared = ">=" if supplementary else "<"
        rows = self._rows(
            f"SELECT content FROM name JOIN record ON record.id = name.record WHERE key = ? AND rank {compared} ? "
            "ORDER BY rank, record LIMIT 1",
            (key, _SUPPLEMENTARY),
        )
        return _decoded(rows[0][0]) if rows else None

    def beginning(self, prefix: str, limit: int) -> list[tuple[str, MeshRecord]]:
        """Return up to `limit` names and entry terms that begin with a text, in order, each with its heading."""
        key = _key(prefix)
        rows = self._rows(
            "SELECT key, content FROM name JOIN record ON record.id = name.record "
            "WHERE key >= ? AND key < ? AND rank IN (0, 2) ORDER BY key LIMIT ?",
            (key, f"{key}\U0010ffff", limit),
        )
        records = [(key, _decoded(content)) for key, content in rows]
        return [(_written(key, record), record) for key, record in records]

    def below(self, name: str) -> list[str]:
        """Return the names of the headings below one, in order; nothing if it is unknown.

        An entry term or a UI stands for its heading, which then comes first.
        """
        heading = self.heading(name)
        if heading is None:
            return []
        names: set[str] = set()
        for number in heading.numbers:
            rows = self._rows(
                "SELECT content FROM place JOIN record ON record.id = place.record WHERE number > ? AND number < ?",
                (f"{number}.", f"{number}/"),
            )
            names.update(_decoded(content).name for (content,) in rows)
        itself = [] if name_key(heading.name) == name_key(name) else [heading.name]
        return [*itself, *sorted(names)]

    def acting(self, action: str, *, explode: bool = True) -> list[str]:
        """Return the names of the substances with a pharmacological action, or one below it in the tree.

        Raises QueryError if there is no such action, with the nearest, or if no record of MeSH names any.
        """
        heading = self.heading(action)
        actions = [heading.name, *(self.below(heading.name) if explode else ())] if heading else [action]
        rows = [
            row
            for some in actions
            for row in self._rows(
                "SELECT content FROM action JOIN record ON record.id = action.record WHERE key = ?", (_key(some),)
            )
        ]
        if not rows:
            raise QueryError(self._unknown_action(action))
        return list(dict.fromkeys(_decoded(content).name for (content,) in rows))

    def is_action(self, name: str) -> bool:
        """Whether substances have a pharmacological action of this name."""
        return bool(self._rows("SELECT 1 FROM action WHERE key = ? LIMIT 1", (_key(name),)))

    def _unknown_action(self, action: str) -> str:
        known = [key for (key,) in self._rows("SELECT DISTINCT key FROM action", ())]
        if not known:
            return "the MeSH of this installation names no pharmacological actions: run `search mesh update`"
        near = difflib.get_close_matches(_key(action), known, n=3)
        return f"MeSH has no pharmacological action {action!r}" + (
            f": the nearest are {', '.join(near)}" if near else ""
        )

    def _rows(self, statement: str, values: Sequence[str | int]) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._database.execute(statement, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise QueryError(f"{self._path} is damaged ({error}): add MeSH again") from error


def installed_mesh() -> Path:
    """Return where `search mesh add` keeps MeSH for this installation."""
    return cache_folder() / "mesh.sqlite"


def load_mesh(path: str | Path | None) -> MeshTree | None:
    """Return the MeSH of a file; without a file, the one added to this installation, or None."""
    if path is not None:
        return MeshTree(path)
    installed = installed_mesh()
    return MeshTree(installed) if installed.exists() else None


def add_mesh(paths: Iterable[str | Path]) -> tuple[int, int]:
    """Keep the MeSH of NLM's files for this installation; return how many headings and supplementary concepts it has.

    What was kept of the kind that the files do not have stays. Raises QueryError if there are no headings.
    """
    target = installed_mesh()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".mesh-") as folder:
            made = Path(folder) / target.name
            with closing(sqlite3.connect(made)) as database:
                _fill(database, (record for path in paths for record in read_mesh(Path(path))))
                if target.exists():
                    _keep_others(database, target)
                counts = _counts(database)
                if not counts[0]:
                    raise QueryError("there are no headings yet: add NLM's descYYYY.xml or dYYYY.bin, too")
                database.commit()
            replace_file(made, target)
    except (OSError, sqlite3.DatabaseError) as error:
        raise QueryError(f"cannot keep MeSH at {target}: {getattr(error, 'strerror', None) or error}") from error
    return counts


def _keep_others(database: sqlite3.Connection, installed: Path) -> None:
    """Add what is installed of the kind that a new MeSH does not have."""
    new = _counts(database)
    with closing(sqlite3.connect(installed)) as old:
        kept = old.execute("SELECT supplementary, content FROM record ORDER BY id").fetchall()
    _insert(database, (_decoded(content) for supplementary, content in kept if not new[supplementary]))


def _counts(database: sqlite3.Connection) -> tuple[int, int]:
    rows = dict(database.execute("SELECT supplementary, count(*) FROM record GROUP BY supplementary").fetchall())
    return rows.get(0, 0), rows.get(1, 0)


def _opened(path: Path) -> sqlite3.Connection:
    """Return MeSH as a database: the file itself if it is one, else one in memory, made of NLM's file."""
    try:
        with path.open("rb") as stream:
            is_database = stream.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise QueryError(f"{path}: {error.strerror}") from error
    if is_database:
        return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    database = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        _fill(database, read_mesh(path))
        if not _counts(database)[0]:
            raise QueryError(f"{path} has supplementary concepts only: give NLM's descYYYY.xml or dYYYY.bin")
    except BaseException:
        database.close()
        raise
    return database


def _fill(database: sqlite3.Connection, records: Iterable[MeshRecord]) -> None:
    database.executescript(_SCHEMA)
    _insert(database, records)


def _insert(database: sqlite3.Connection, records: Iterable[MeshRecord]) -> None:
    """Write records; of two places with one number the first counts."""
    for record in records:
        number = database.execute(
            "INSERT INTO record (supplementary, content) VALUES (?, ?)",
            (record.supplementary, msgspec.msgpack.encode(record)),
        ).lastrowid
        names = {key: rank for key, rank in [*_names(record)][::-1] if key}
        rows = [(key, rank + _SUPPLEMENTARY * record.supplementary, number) for key, rank in names.items()]
        database.executemany("INSERT INTO name VALUES (?, ?, ?)", rows)
        database.executemany("INSERT OR IGNORE INTO place VALUES (?, ?)", [(place, number) for place in record.numbers])
        actions = dict.fromkeys(map(_key, record.actions))
        database.executemany("INSERT INTO action VALUES (?, ?)", [(action, number) for action in actions])


def _names(record: MeshRecord) -> Iterator[tuple[str, int]]:
    yield _key(record.name), 0
    yield _key(record.ui), 1
    yield from ((_key(term), 2) for term in record.entry_terms)


def _written(key: str, record: MeshRecord) -> str:
    """Return the name of a record that is written so."""
    return next((name for name in (record.name, *record.entry_terms) if _key(name) == key), record.name)


def _decoded(content: bytes) -> MeshRecord:
    try:
        return msgspec.msgpack.decode(content, type=MeshRecord)
    except msgspec.MsgspecError as error:
        raise QueryError(f"MeSH as it is kept is damaged ({error}): add it again") from error


def _key(name: str) -> str:
    return " ".join(folded_words(name))
