"""An index copied to another address, in either direction: from a folder to PostgreSQL, back, or to another of a kind.

Articles go over in order of PMID, a batch a transaction that also notes how far it is, so that a copy which was
interrupted resumes there. What the source changed meanwhile is copied in the end, in one state of it, together with
deletions and the ledger; only then does the copy stop to be an unfinished one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import numpy as np

from search.config import Config
from search.errors import IndexFolderError
from search.storage import backend
from search.storage.backend import Address, Reader, View, Writer
from search.storage.citation_graph import Kind
from search.storage.manifest import Manifest
from search.storage.rows import Copied, Vectors, prepare, unpack
from search.storage.store import Store, WritableStore

__all__ = ["BATCH", "copy_index", "read_articles"]

#: Articles that are copied in one transaction.
BATCH = 900

_MARK, _COMPLETE = "copy", "copied"

#: The articles are chosen before they are joined: PostgreSQL would else read the other tables from their beginning.
_ARTICLES = (
    "SELECT d.document, a.sequence, a.added, a.added_change, a.stale, v.text_hash, p.pmid IS NOT NULL "
    "FROM (SELECT * FROM articles WHERE {}) AS a JOIN documents AS d ON d.pmid = a.pmid "
    "LEFT JOIN vectors AS v ON v.pmid = a.pmid LEFT JOIN part_articles AS p ON p.pmid = a.pmid ORDER BY a.pmid"
)
_CHANGED = (
    "SELECT pmid FROM articles WHERE change > ? UNION SELECT pmid FROM vectors WHERE change > ? "
    "UNION SELECT pmid FROM tombstones WHERE change > ? ORDER BY 1"
)
#: Small tables that are copied as they are, without the numbers of their rows.
_LEDGERS = {
    "files": ("name", "sha256", "complete", "started", "finished", "counts", "error"),
    "nlm_files": (
        "sequence", "name", "baseline", "md5", "stamp", "records", "deletions", "rejected", "kept", "encoded", "bytes",
        "seconds", "applied",
    ),
    "seen_later": ("pmid", "sequence"),
    "retractions": ("pmid", "doi", "nature", "day", "reasons", "notice_pmid", "notice_doi"),
}  # fmt: skip
_FLAGS = {"complete", "baseline"}


class Mark(msgspec.Struct, frozen=True):
    """How far a copy is: the last change of the source when it was begun, and the last PMID that was copied."""

    change: int
    pmid: int = 0


def copy_index(source: Reader, target: Address, config: Config, progress: Callable[[float], None] | None = None) -> int:
    """Copy an index, and return how many articles the copy has.

    Raises IndexFolderError if the target holds anything but an unfinished copy of this source.
    """
    with closing(_opened(source, target, config)) as writer:
        store = writer.store
        if writer.manifest.copy_of is None:
            return store.counts()["articles"]
        mark = _begin(source, store)
        with source.view() as view:
            _take_static(view.store, store)
        done = store.counts()["articles"]
        with source.view() as view:
            total = max(view.store.counts()["articles"], 1)
        while True:
            with source.view() as view:
                batch = read_articles(view.store, mark.pmid, BATCH)
            if not batch[0]:
                break
            mark = msgspec.structs.replace(mark, pmid=batch[0][-1].row.pmid)
            _put(store, batch, mark)
            done += len(batch[0])
            if progress is not None:
                progress(min(done / total, 1.0))
        with source.view() as view:
            _finish(view, store, mark.change)
        _copy_saved(source, target, config)
        writer.merge()
        store.transact(lambda change: store.put_setting(_COMPLETE, _completed(source, change)))
        writer.finish_copy()
        return store.counts()["articles"]


def _opened(source: Reader, target: Address, config: Config) -> Writer:
    """Open the target, or create it. Raises IndexFolderError if it is not a copy of this source."""
    identity = _identity(source)
    if not backend.exists(target, config):
        known = {name: getattr(source.manifest, name) for name in Manifest.__struct_fields__}
        backend.create(target, Manifest(**{**known, "static": "", "copy_of": identity, "generation": 0}), config)
    writer = backend.open_writer(target, config)
    of = writer.manifest.copy_of
    if of is None and _is_complete(source, writer.store):
        return writer
    if of != identity:
        writer.close()
        what = f"an unfinished copy of {of}" if of else "an index already"
        raise IndexFolderError(f"{backend.name_of(target)} holds {what}; copy to another place, or empty this one")
    return writer


def _identity(source: Reader) -> str:
    """Return by what a copy knows its source: a name alone may come to mean another index."""
    return f"{source.name} (made {source.manifest.created})"


def _completed(source: Reader, change: int) -> str:
    return f"{change} {_identity(source)}"


def _is_complete(source: Reader, store: WritableStore) -> bool:
    """Whether a store is a complete copy of a source that was not written since: its process may have been killed."""
    # `finish_copy` is one change more.
    expected = {_completed(source, store.change() - more) for more in (0, 1)}
    return store.settings().get(_COMPLETE) in expected


def _begin(source: Reader, store: WritableStore) -> Mark:
    """Return how far the copy is. It begins with the source's number of changes, to which runs of searches refer."""
    noted = [value for (value,) in store.rows("SELECT value FROM settings WHERE key = ?", [_MARK])]
    if noted:
        return msgspec.json.decode(noted[0], type=Mark)
    with source.view() as view:
        mark = Mark(view.change)

    def work(change: int) -> None:
        store.executemany("UPDATE counter SET change = ?", [(max(change, mark.change),)])
        _note(store, mark)

    store.transact(work)
    return mark


def _note(store: WritableStore, mark: Mark) -> None:
    store.put_setting(_MARK, msgspec.json.encode(mark).decode())


def read_articles(store: Store, after: int, limit: int) -> tuple[list[Copied], Vectors]:
    """Read up to `limit` articles that come after a PMID and, in their order, the vectors of those that have one."""
    return _articles(store, _ARTICLES.format("pmid > ? ORDER BY pmid LIMIT ?"), after, limit)


def _articles(store: Store, sql: str, *parameters: object) -> tuple[list[Copied], Vectors]:
    """Read articles and, in their order, the vectors of those that have one."""
    copied = [
        Copied(prepare(unpack(document)), sequence, added, added_change, bool(stale), vector_hash, bool(of_part))
        for document, sequence, added, added_change, stale, vector_hash, of_part in store.rows(sql, parameters)
    ]
    encoded = [article.row.pmid for article in copied if article.vector_hash is not None]
    pmids, vectors = store.vectors(encoded)
    row_of = {int(pmid): row for row, pmid in enumerate(pmids)}
    return copied, vectors[np.array([row_of[pmid] for pmid in encoded], np.int64)]


def _put(store: WritableStore, batch: tuple[list[Copied], Vectors], mark: Mark | None = None) -> None:
    def work(_: int) -> None:
        store.put_copied(*batch)
        if mark is not None:
            _note(store, mark)

    store.transact(work)


def _finish(view: View, store: WritableStore, since: int) -> None:
    """Copy what changed since the copy was begun, deletions, and the ledger: all of one state of the source."""
    source = view.store
    changed = [pmid for (pmid,) in source.rows(_CHANGED, [since] * 3)]
    for some in _batches(changed):
        marks = ", ".join("?" for _ in some)
        _put(store, _articles(source, _ARTICLES.format(f"pmid IN ({marks})"), *some))
    if view.change > since:
        # A file of NLM's that holds an article unchanged leaves no change, but its place in their order.
        for some in _pages(source, "articles"):
            _update_sequences(store, some)
    for some in _pages(source, "tombstones"):
        _copy_tombstones(store, some)
    _take_static(source, store)
    _copy_ledger(source, store)
    _copy_collection(source, store)


def _take_static(source: Store, store: WritableStore) -> None:
    """Make static vectors with what the source makes them with: it may change while the copy is made."""
    static = source.static()
    if store.manifest().static != (static.fingerprint if static else ""):
        store.put_static(static)


def _copy_tombstones(store: WritableStore, rows: list[Any]) -> None:
    by_sequence: dict[int, list[int]] = {}
    for pmid, sequence in rows:
        by_sequence.setdefault(sequence, []).append(pmid)

    def work(change: int) -> None:
        store.executemany("DELETE FROM tombstones WHERE pmid = ?", [(pmid,) for pmid, _ in rows])
        for sequence, pmids in by_sequence.items():
            store.remove(pmids, change, sequence)

    store.transact(work)


def _copy_ledger(source: Store, store: WritableStore) -> None:
    """Copy what was read and applied, what part of PubMed is kept, and queries that are not finished."""
    tables = {
        table: [
            tuple(bool(value) if name in _FLAGS else value for name, value in zip(names, row, strict=True))
            for row in source.rows(f"SELECT {', '.join(names)} FROM {table} ORDER BY 1")
        ]
        for table, names in _LEDGERS.items()
    }
    settings = list(source.rows("SELECT key, value FROM settings WHERE key LIKE 'nlm_%'"))
    queries = [
        (query, started, [pmid for (pmid,) in source.rows("SELECT pmid FROM query_pmids WHERE run = ?", [run])])
        for run, query, started in source.rows(
            "SELECT id, query, started FROM query_runs WHERE finished IS NULL ORDER BY id"
        )
    ]

    def work(_: int) -> None:
        for table, names in _LEDGERS.items():
            store.executemany(f"DELETE FROM {table}", [()])
            values = ", ".join("?" for _ in names)
            store.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})", tables[table])
        for key, value in settings:
            store.put_setting(key, value)
        store.executemany("DELETE FROM query_pmids", [()])
        store.executemany("DELETE FROM query_runs", [()])
        for query, started, pmids in queries:
            store.executemany("INSERT INTO query_runs (query, started) VALUES (?, ?)", [(query, started)])
            ((run,),) = store.rows("SELECT max(id) FROM query_runs")
            store.executemany("INSERT INTO query_pmids VALUES (?, ?)", [(run, pmid) for pmid in pmids])

    store.transact(work)


def _copy_collection(source: Store, store: WritableStore) -> None:
    """Copy the open citation collection as it is; what records cite came with them."""
    of_collection = f"kind <> {int(Kind.RECORDS)}"
    ids = [id for (id,) in source.rows(f"SELECT id FROM citation_blocks WHERE {of_collection} ORDER BY id")]
    runs = list(source.rows(f"SELECT kind, run, edges FROM citation_runs WHERE {of_collection} ORDER BY kind, run"))

    def work(_: int) -> None:
        for table in ("citation_runs", "citation_blocks"):
            store.executemany(f"DELETE FROM {table} WHERE {of_collection}", [()])
        store.executemany("INSERT INTO citation_runs VALUES (?, ?, ?)", runs)
        for some in _batches(ids):
            marks = ", ".join("?" for _ in some)
            rows = source.rows(
                f"SELECT kind, run, first, edges FROM citation_blocks WHERE id IN ({marks}) ORDER BY id", some
            )
            store.executemany("INSERT INTO citation_blocks (kind, run, first, edges) VALUES (?, ?, ?, ?)", rows)

    store.transact(work)


def _copy_saved(source: Reader, target: Address, config: Config) -> None:
    with closing(backend.open_reader(target, config)) as copy:
        for name in source.saved.names():
            copy.saved.write(name, source.saved.read(name))


def _update_sequences(store: WritableStore, rows: list[Any]) -> None:
    values = [(sequence, pmid, sequence) for pmid, sequence in rows]
    update = "UPDATE articles SET sequence = ? WHERE pmid = ? AND sequence <> ?"
    store.transact(lambda _: store.executemany(update, values))


def _pages(store: Store, table: str) -> Iterator[list[Any]]:
    """Yield PMIDs and sequences of a table, a batch at a time."""
    sql = f"SELECT pmid, sequence FROM {table} WHERE pmid > ? ORDER BY pmid LIMIT ?"
    after = 0
    while some := list(store.rows(sql, [after, BATCH])):
        after = some[-1][0]
        yield some


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
