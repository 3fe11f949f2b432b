"""Where an index is kept, a folder or a PostgreSQL database, and what is asked of either.

Finding, adding and syncing are written against the protocols of this module; `open_reader` and `open_writer` tell by
the address which implementation is meant, and import no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from search.article import Article
from search.config import Config, PostgresConfig
from search.errors import ConfigError
from search.storage.folder.saved_files import SavedFiles
from search.storage.folder.sqlite_conditions import Condition, Conditions
from search.storage.manifest import Manifest
from search.storage.nlm_ledger import NlmLedger, NlmState
from search.storage.plan import Plan
from search.storage.postgres.address import is_postgres, parse_address
from search.storage.rows import ArticleRow, Copied, Outside, Pmids, TextState, Vectors
from search.storage.token_query import TokenIndex

__all__ = [
    "Address",
    "Reader",
    "Selection",
    "Store",
    "View",
    "WritableStore",
    "Writer",
    "create",
    "downloads_folder",
    "exists",
    "ledger_state",
    "name_of",
    "open_reader",
    "open_writer",
    "repair",
    "verify",
]

_Result = TypeVar("_Result")

#: A folder, or `postgresql://...`.
Address: TypeAlias = str | Path

#: The articles that pass a filter. What it is, only the view knows that made it: PMIDs, or a condition in SQL.
Selection: TypeAlias = Any


class Store(Protocol):
    """Articles and vectors, in one state."""

    conditions: Conditions

    def counts(self) -> dict[str, int]:
        """Return how many articles, vectors, stale articles and tombstones there are."""
        ...

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None."""
        ...

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return the articles with these PMIDs, by PMID; what is not there is left out."""
        ...

    def articles(self) -> Iterator[Article]:
        """Yield every article in order of PMID, in bounded memory."""
        ...

    def pmids(self) -> Pmids:
        """Return the PMIDs of all articles, ascending."""
        ...

    def select_pmids(self, condition: str, parameters: Sequence[object]) -> Pmids:
        """Return the PMIDs, ascending, of the articles for whose row `a` a condition in SQL holds."""
        ...

    def existing(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the PMIDs that there is an article for."""
        ...

    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""
        ...

    def stale(self, limit: int, *, after: int = 0) -> list[Article]:
        """Return up to `limit` articles after a PMID, in order, whose vector is missing or of another text."""
        ...

    def files(self) -> list[dict[str, object]]:
        """Return the ledger: the files read, in the order they were begun."""
        ...

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterable[Any]:
        """Return the rows of a query in SQL that every database understands; `?` stands for a parameter."""
        ...


class WritableStore(Store, Protocol):
    """A store that is written to; `search.storage.folder.sqlite_writer.StoreWriter` tells what each method promises."""

    def plan(
        self,
        records: Iterable[ArticleRow | Outside | int],
        *,
        sequence: int | None = None,
        restore: bool = False,
        part: bool = False,
    ) -> Plan:
        """Decide what a batch of records does."""
        ...

    def apply(self, plan: Plan, vectors: Vectors | None = None) -> int:
        """Write a plan and the vectors of `plan.to_encode`, all or nothing; return the change number."""
        ...

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles by hand and return how many there were."""
        ...

    def text_hashes(self, pmids: Iterable[int]) -> dict[int, TextState]:
        """Return, for each of these PMIDs that has an article, the hash of its text and whether a vector is missing."""
        ...

    def put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors) -> int:
        """Store vectors of (pmid, text hash) pairs that are still true, and return how many."""
        ...

    def put_copied(self, copied: Sequence[Copied], vectors: Vectors) -> None:
        """Put articles of another index in place of those of their PMIDs; within `transact`."""
        ...

    def remove(self, pmids: Iterable[int], change: int, sequence: int) -> None:
        """Delete articles with a tombstone each; within `transact`."""
        ...

    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction."""
        ...

    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement that every database understands for each row of parameters; within `transact`."""
        ...

    def begin_file(self, name: str, sha256: str) -> None:
        """Note that a file is being read."""
        ...

    def finish_file(self, name: str, sha256: str, counts: Mapping[str, int], error: str | None = None) -> None:
        """Note what came of a file."""
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
        """The words and exact values of its articles, which strategies ask for."""
        ...

    def pending(self) -> int:
        """Return how many changes the search structures do not know of yet."""
        ...

    def structure(self) -> str:
        """Return what vectors are searched with."""
        ...

    def select(self, condition: Callable[[Conditions], Condition]) -> Selection:
        """Return the articles that pass a condition, which is made of the conditions that the store has."""
        ...

    def added_since(self, change: int) -> Selection:
        """Return the articles that were first added after a change number."""
        ...

    def listed(self, pmids: Pmids) -> Selection:
        """Return the articles with these PMIDs, which are ascending and all there."""
        ...

    def both(self, one: Selection, other: Selection) -> Selection:
        """Return the articles of both selections."""
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

    def words_nearest(self, question: str, limit: int, *, allowed: Selection | None = None) -> tuple[Pmids, Vectors]:
        """Return the PMIDs with the highest BM25 for the words of a question, and these scores, best first."""
        ...

    def words_scores(self, question: str, pmids: Pmids) -> dict[int, float]:
        """Return the BM25 of some articles for a question; one that shares no word with it is left out."""
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
        """What it remembers of NLM."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What the index is."""
        ...

    def finish_copy(self) -> None:
        """Note that an index that was made as a copy of another is whole."""
        ...

    def merge_if_due(self) -> bool:
        """Bring the search structures up to the last change if searches would feel that they are not."""
        ...

    def merge(self, *, anew: bool = False) -> None:
        """Bring the search structures up to the last change; with `anew`, using nothing of those that are there."""
        ...

    def close(self, *, wait: bool = True) -> None:
        """Close files and connections, and let others write; with `wait`, when what runs aside has come to an end."""
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

    return IndexReader(Path(address))


def open_writer(address: Address, config: Config | None = None) -> Writer:
    """Open an index for writing. Raises IndexLockedError if it has one writer only and another process is that."""
    if is_postgres(address):
        writer: Writer = _postgres().PgIndexWriter(parse_address(address), _settings(config))
        return writer
    from search.storage.folder.folder_writer import IndexWriter

    return IndexWriter(Path(address))


def exists(address: Address, config: Config | None = None) -> bool:
    """Whether there is an index."""
    if is_postgres(address):
        return bool(_postgres().has_index(parse_address(address), _settings(config)))
    return (Path(address) / "manifest.json").exists()


def create(address: Address, manifest: Manifest, config: Config | None = None) -> None:
    """Make an empty index. Raises IndexFolderError if there is anything already."""
    if is_postgres(address):
        _postgres().create_schema(parse_address(address), _settings(config), manifest)
        return
    from search.storage.folder.folder_writer import create_folder

    create_folder(Path(address), manifest)


def verify(address: Address, config: Config | None = None) -> Iterator[str]:
    """Yield what is wrong with an index, a sentence each; nothing if it is whole."""
    if is_postgres(address):
        problems: Iterator[str] = _postgres().verify_database(parse_address(address), _settings(config))
        return problems
    from search.storage.folder.folder_verify import verify as verify_folder

    return verify_folder(Path(address))


def repair(address: Address, config: Config | None = None) -> None:
    """Rebuild whatever is derived, in an index that may not open."""
    writer = open_writer(address, config)
    try:
        writer.merge(anew=True)
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
    """Give what an index, which need not be there, remembers of NLM."""
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
    try:
        yield NlmState(store)
    finally:
        if store is not None:
            store.close()


def _settings(config: Config | None) -> PostgresConfig:
    return (config or Config()).postgres


def _postgres() -> Any:
    """Import what works on PostgreSQL. Raises ConfigError if its driver is not installed."""
    try:
        return import_module("search.storage.postgres.postgres_index")
    except ImportError as error:
        raise ConfigError(
            f"an index in PostgreSQL needs the extra `postgres` ({error}): "
            "pip install 'pubmed-semantic-search[postgres]'"
        ) from error
