"""The storage protocols, and the functions that pick the folder or the PostgreSQL implementation by an address.

An index is opened with `open_reader` or `open_writer`. A reader gives `View`s, each one state of the index: its
articles and vectors are in a `Store`, and the view searches them. A writer has a `WritableStore`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from search.config import Config, PostgresConfig
from search.errors import ConfigError, IndexFolderError
from search.extras import install_command
from search.storage.bm25 import Terms
from search.storage.conditions import Condition, Conditions
from search.storage.manifest import Manifest
from search.storage.nlm_ledger import NlmLedger, NlmState
from search.storage.postgres.address import is_postgres, parse_address
from search.storage.rows import Pmids, Vectors
from search.storage.store import Store, WritableStore
from search.storage.token_query import TokenIndex

__all__ = [
    "Address",
    "Reader",
    "SavedFiles",
    "Selection",
    "View",
    "Writer",
    "create",
    "downloads_folder",
    "exists",
    "ledger_state",
    "name_of",
    "open_reader",
    "open_writer",
    "remove_if_empty",
    "repair",
    "verify",
]

#: A folder, or `postgresql://...`.
Address: TypeAlias = str | Path

#: The articles that pass a filter. What it is, only the view knows that made it: PMIDs, or a condition in SQL.
Selection: TypeAlias = Any


class SavedFiles(Protocol):
    """The store of saved searches, whatever they contain."""

    def names(self) -> list[str]:
        """Return their names in order."""
        ...

    def read(self, name: str) -> bytes:
        """Return one. Raises FileNotFoundError if it is not there, another OSError if it cannot be read.

        ValueError if it is damaged.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Replace one so that a crash leaves the old or the new. Raises OSError."""
        ...

    def delete(self, name: str) -> None:
        """Delete one. Raises FileNotFoundError if it is not there, another OSError if it cannot be deleted."""
        ...


class View(Protocol):
    """One state of an index, for as long as the reader holds it."""

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        ...

    @property
    def change(self) -> int:
        """The number of the last change in it."""
        ...

    @property
    def store(self) -> Store:
        """Its articles and vectors."""
        ...

    @property
    def tokens(self) -> TokenIndex:
        """The words and exact values of its articles, which strategies search."""
        ...

    def unmerged(self) -> int:
        """Return how many changes are not merged into the search indexes yet."""
        ...

    def vector_index(self) -> str:
        """Return what vectors are searched with."""
        ...

    def select(self, condition: Callable[[Conditions], Condition]) -> Selection:
        """Return the articles that pass a condition, which is made of the conditions that the store has."""
        ...

    def listed(self, pmids: Pmids) -> Selection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        ...

    def count(self, selection: Selection) -> int:
        """Return how many articles a selection has."""
        ...

    def newest(self, selection: Selection, limit: int) -> list[int]:
        """Return up to `limit` PMIDs of a selection, those of the latest date of publication first."""
        ...

    def nearest(self, queries: Vectors, limit: int, *, allowed: Selection | None = None) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest articles and their exact cosines, best first.

        `queries` is (n, dimension) float32 with unit rows. Equal cosines are in order of PMID, the newest first.
        """
        ...

    def static_nearest(
        self, queries: Vectors, limit: int, *, allowed: Selection | None = None
    ) -> list[tuple[Pmids, Vectors]]:
        """Return, for each query, the PMIDs of the nearest static vectors and these cosines, best first.

        `queries` is (n, dimension of static vectors) float32 with unit rows.
        """
        ...

    def bm25(self, terms: Terms, limit: int, *, allowed: Selection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for some terms, and these scores, best first."""
        ...

    def bm25_scores(self, terms: Terms, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for some terms; articles with none of the terms are left out."""
        ...

    def idf(self, words: Iterable[str]) -> dict[str, float]:
        """Return the inverse document frequency, in titles and abstracts, of indexed words; 0 if no article has it."""
        ...


class Reader(Protocol):
    """An index that is open for reading, from several threads if need be."""

    @property
    def name(self) -> str:
        """What the index is called in messages: its address without a password."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        ...

    @property
    def damaged(self) -> set[int]:
        """Articles whose records or vectors were found damaged while they were read, and were left out."""
        ...

    @property
    def saved(self) -> SavedFiles:
        """The saved searches."""
        ...

    def view(self) -> AbstractContextManager[View]:
        """Hold one state of the index."""
        ...

    def sizes(self) -> dict[str, int]:
        """Return what it takes on disk: bytes by the name of the part."""
        ...

    def close(self) -> None:
        """Close files and connections."""
        ...


class Writer(Protocol):
    """An index that is open for writing."""

    @property
    def store(self) -> WritableStore:
        """Its articles and vectors."""
        ...

    @property
    def ledger(self) -> NlmLedger:
        """What is recorded of NLM's files."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        ...

    def finish_copy(self) -> None:
        """Note that an index that was made as a copy of another is complete."""
        ...

    def merge_if_due(self, *, last: bool = False) -> bool:
        """Merge if so much is unmerged that searches would feel it, and return whether it was.

        `last` says that a run ends: then a little is enough.
        """
        ...

    def merge(self, *, rebuild: bool = False) -> None:
        """Bring the search indexes up to the last change; `rebuild` uses nothing of those that are there."""
        ...

    def repair(self) -> list[str]:
        """Rebuild everything that can be rebuilt from the records, and return what cannot."""
        ...

    def remove_if_empty(self) -> bool:
        """Remove the index if it holds no article and remembers no deletion; return whether it was removed."""
        ...

    def close(self, *, wait: bool = True) -> None:
        """Close files and connections, and let others write; `wait` for what runs in the background."""
        ...


def name_of(address: Address) -> str:
    """Return what an index is called in messages: its address, without a password."""
    return parse_address(address).name if is_postgres(address) else str(address)


def open_reader(address: Address, config: Config | None = None) -> Reader:
    """Open an index for reading. Raises IndexFolderError if there is none, IndexCorruptError if it is damaged."""
    if is_postgres(address):
        reader: Reader = _postgres().PgIndexReader(parse_address(address), _settings(config))
        return reader
    from search.storage.folder.folder_reader import IndexReader

    return IndexReader(_folder(address))


def open_writer(address: Address, config: Config | None = None) -> Writer:
    """Open an index for writing. Raises IndexLockedError if it has one writer only and another process is that."""
    if is_postgres(address):
        writer: Writer = _postgres().PgIndexWriter(parse_address(address), _settings(config))
        return writer
    from search.storage.folder.folder_writer import IndexWriter

    return IndexWriter(_folder(address))


def exists(address: Address, config: Config | None = None) -> bool:
    """Whether there is an index. Raises IndexFolderError if the name of the folder cannot be used for one."""
    if is_postgres(address):
        return bool(_postgres().has_index(parse_address(address), _settings(config)))
    return (_folder(address) / "manifest.json").exists()


def create(address: Address, manifest: Manifest, config: Config | None = None) -> None:
    """Make an empty index. Raises IndexFolderError if there is anything already."""
    if is_postgres(address):
        _postgres().create_schema(parse_address(address), _settings(config), manifest)
        return
    from search.storage.folder.folder_writer import create_folder

    create_folder(_folder(address), manifest)


def remove_if_empty(address: Address, config: Config | None = None) -> bool:
    """Remove an index into which nothing came, and return whether it was removed.

    What was read, but held no usable record, is forgotten with it.
    """
    writer = open_writer(address, config)
    try:
        return not writer.ledger.files() and writer.remove_if_empty()
    finally:
        writer.close()


def verify(address: Address, config: Config | None = None) -> Iterator[str]:
    """Yield the problems of an index, a sentence each that says what to do; nothing if there are no problems."""
    if is_postgres(address):
        problems: Iterator[str] = _postgres().verify_database(parse_address(address), _settings(config))
        return problems
    from search.storage.folder.folder_verify import verify as verify_folder

    return verify_folder(_folder(address))


def repair(address: Address, config: Config | None = None) -> list[str]:
    """Rebuild everything that can be rebuilt from the records, in an index that may not open; return what cannot.

    Raises IndexCorruptError if the records themselves are missing; then nothing is touched.
    """
    if not is_postgres(address):
        from search.storage.folder.folder_writer import restore_manifest

        restore_manifest(_folder(address))
    writer = open_writer(address, config)
    try:
        return writer.repair()
    finally:
        writer.close()


def downloads_folder(address: Address) -> Path:
    """Return where files that are downloaded for an index are kept for a while."""
    if not is_postgres(address):
        return Path(address) / "downloads"
    from search.files import cache_folder

    return cache_folder() / "downloads" / hashlib.sha256(name_of(address).encode()).hexdigest()[:16]


@contextmanager
def ledger_state(address: Address, config: Config | None = None) -> Iterator[NlmState]:
    """Give what an index, which need not be there, has recorded of NLM's files."""
    if is_postgres(address):
        if not exists(address, config):
            yield NlmState(None)
            return
        reader = _postgres().PgIndexReader(parse_address(address), _settings(config))
        try:
            with reader.view() as view:
                yield NlmState(view.store)
        finally:
            reader.close()
        return
    from search.storage.folder.sqlite_reader import StoreReader

    path = Path(address) / "articles.db"
    store = StoreReader(path) if path.exists() else None
    if store is not None:
        store.manifest()
    try:
        yield NlmState(store)
    finally:
        if store is not None:
            store.close()


def _folder(address: Address) -> Path:
    """Return a folder as a path. Raises IndexFolderError if its name is not UTF-8: Faiss and tantivy take no other."""
    try:
        str(address).encode()
    except UnicodeEncodeError:
        name = str(address).encode("utf-8", "backslashreplace").decode()
        raise IndexFolderError(f"{name}: the name of the folder is not valid UTF-8; give the index another") from None
    return Path(address)


def _settings(config: Config | None) -> PostgresConfig:
    return (config or Config()).postgres


def _postgres() -> Any:
    """Import what works on PostgreSQL. Raises ConfigError if its driver is not installed."""
    try:
        return import_module("search.storage.postgres.postgres_index")
    except ImportError as error:
        raise ConfigError(
            f"an index in PostgreSQL needs the extra `postgres` ({error}): {install_command('postgres')}"
        ) from error
