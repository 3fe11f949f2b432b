"""Articles, vectors and ledgers in a database: what SQLite and PostgreSQL have in common, written once.

`Store` reads and `WritableStore` writes. Both are written in SQL that either database understands, with `?` for a
parameter; a database adds how it runs SQL, how it keeps vectors and what it filters by (`search.storage.schema`).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from search.article import Article, Deletion, embedding_text
from search.errors import IndexCorruptError, StoreError
from search.files import today, utc_now
from search.models.static_vectors import StaticVectors, builtin_static, static_of
from search.storage.citation_graph import Kind, put_edges, record_edges
from search.storage.conditions import Condition, Conditions
from search.storage.manifest import Manifest
from search.storage.members import distinct
from search.storage.plan import LEFT_PART, Held, Plan, PlanOutdatedError, make_plan
from search.storage.rows import (
    ArticleRow,
    Copied,
    Outside,
    Pmids,
    StoredRow,
    Term,
    TextState,
    Vectors,
    is_sound,
    prepare,
    unpack,
)
from search.storage.schema import STATIC_MODELS

__all__ = ["UNIT", "Store", "WritableStore", "ranked"]

_Result = TypeVar("_Result")

#: A stored unit vector may be so far from unit length: the rounding of float16.
UNIT = 2e-3

#: Articles that are written again in one transaction.
_AT_ONCE = 500

_FILE_COLUMNS = ("name", "sha256", "complete", "started", "finished", "counts", "error")


class Store(ABC):
    """Articles and vectors, in one state of the database."""

    #: Articles whose records or vectors were found damaged while they were read, and were left out.
    damaged: set[int]

    #: What stands behind a column to say that its value is in a list; `listed` makes the parameter.
    AMONG: ClassVar[str]
    #: The type of a column of bytes.
    BYTES: ClassVar[str]

    # What a database provides -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def conditions(self) -> Conditions:
        """What filters are made of, in this database's SQL."""

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterable[Any]:
        """Execute a statement and return its rows. Raises StoreError if the database refuses."""

    @abstractmethod
    def stream(self, sql: str) -> Iterator[Any]:
        """Yield the rows of a query in bounded memory; within one state of the database."""

    @abstractmethod
    def listed(self, numbers: Iterable[int]) -> object:
        """Return numbers as the parameter that `AMONG` takes."""

    @abstractmethod
    def vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the stored vectors of these PMIDs: (n,) int64 and (n, dimension) float32, in no order of their own."""

    @abstractmethod
    def static_vectors(self, pmids: Iterable[int]) -> tuple[Pmids, Vectors]:
        """Return the static vectors of these PMIDs: (n,) int64 and (n, dimension) float32, unit rows or zeros."""

    @abstractmethod
    def without_static(self) -> list[int]:
        """Return the PMIDs of the articles that have no static vector, or one that is not of the right length."""

    def static(self) -> StaticVectors | None:
        """Return what the static vectors in this state of the index are made with; None if it has none.

        Raises IndexCorruptError if it is missing or damaged.
        """
        fingerprint = self.manifest().static
        if not fingerprint:
            return None
        try:
            return static_of(fingerprint, self._static_content)
        except ValueError as error:
            raise IndexCorruptError(
                f"{error}; `search repair` removes it with the static vectors, `search encode` makes them again"
            ) from error

    def _static_content(self, fingerprint: str) -> bytes:
        for (content,) in self.rows("SELECT content FROM static_models WHERE fingerprint = ?", [fingerprint]):
            return bytes(content)
        raise ValueError("the static model is missing")

    @abstractmethod
    def manifest(self) -> Manifest:
        """Return what the index is."""

    @abstractmethod
    def vector_batches(self) -> Iterator[tuple[Pmids, Vectors]]:
        """Yield all vectors, in batches."""

    @abstractmethod
    def _damaged_vectors(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the articles whose vector is damaged."""

    @abstractmethod
    def stored_rows(self) -> Iterator[StoredRow]:
        """Yield all that is stored of each article, in order of PMID."""

    # Reading ----------------------------------------------------------------------------------------------------------

    def one(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Return the one number that a query gives; 0 for none."""
        for row in self.rows(sql, parameters):
            return int(row[0] or 0)
        return 0

    def settings(self) -> dict[str, str]:
        """Return what the store was made with, and what the ledger has set."""
        return dict(self.rows("SELECT key, value FROM settings"))

    def change(self) -> int:
        """Return the number of the last change."""
        return self.one("SELECT change FROM counter")

    def counts(self) -> dict[str, int]:
        """Return how many articles, vectors, stale articles and tombstones there are."""
        return {
            "articles": self.one("SELECT count(*) FROM articles"),
            "vectors": self.one("SELECT count(*) FROM vectors"),
            "stale": self.one("SELECT count(*) FROM articles WHERE stale"),
            "deleted": self.one("SELECT count(*) FROM tombstones WHERE sequence >= 0"),
        }

    def get(self, pmid: int) -> Article | None:
        """Return the article with this PMID, or None."""
        return self.get_many([pmid]).get(pmid)

    def get_many(self, pmids: Iterable[int]) -> dict[int, Article]:
        """Return the articles with these PMIDs, by PMID.

        Those that are not there, or whose records are damaged, are left out; `damaged` notes the latter.
        """
        rows = self._of(pmids, "SELECT pmid, document FROM documents WHERE pmid")
        return {article.pmid: article for article in self._unpacked(rows)}

    def articles(self) -> Iterator[Article]:
        """Yield every article in order of PMID, in bounded memory; damaged records are left out."""
        return self._unpacked(self.stream("SELECT pmid, document FROM documents ORDER BY pmid"))

    def pmids(self) -> Pmids:
        """Return the PMIDs of all articles, ascending."""
        return self._numbers("SELECT pmid FROM articles ORDER BY pmid")

    def encoded_pmids(self) -> Pmids:
        """Return the PMIDs of the articles that have a vector of their text, ascending."""
        return self._numbers("SELECT pmid FROM articles WHERE NOT stale ORDER BY pmid")

    def is_empty(self) -> bool:
        """Whether there are no articles, and no deletions are remembered."""
        return not any(self.one(f"SELECT count(*) FROM {table}") for table in ("articles", "tombstones"))

    def terms(self, numbers: Iterable[int]) -> dict[int, Term]:
        """Return terms by their ids."""
        rows = self._of(numbers, "SELECT id, kind, name, ui, parent_name, parent_ui FROM terms WHERE id")
        return {number: Term(*key) for number, *key in rows}

    def existing(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the PMIDs that there is an article for."""
        return {pmid for (pmid,) in self._of(pmids, "SELECT pmid FROM articles WHERE pmid")}

    def text_hashes(self, pmids: Iterable[int]) -> dict[int, TextState]:
        """Return, for each of these PMIDs that has an article, the hash of its text and whether a vector is missing."""
        rows = self._of(pmids, "SELECT pmid, text_hash, stale FROM articles WHERE pmid")
        return {pmid: TextState(bytes(text_hash), bool(stale)) for pmid, text_hash, stale in rows}

    def stale(self, limit: int, *, after: int = 0, since: int = 0) -> list[Article]:
        """Return up to `limit` articles after a PMID, in order, whose vector is missing or of another text.

        `since`: only of those that were written after that change number.
        """
        # Chosen before they are joined: PostgreSQL would else read the documents from their beginning.
        rows = self.rows(
            "SELECT d.pmid, d.document FROM (SELECT pmid FROM articles WHERE stale AND pmid > ? AND change > ? "
            "ORDER BY pmid LIMIT ?) AS a JOIN documents AS d ON d.pmid = a.pmid ORDER BY a.pmid",
            [after, since, limit],
        )
        return list(self._unpacked(rows))

    def count_stale(self, since: int = 0) -> int:
        """Return how many articles that were written after a change number have no vector of their text."""
        return self.one("SELECT count(*) FROM articles WHERE stale AND change > ?", [since])

    def count_encoded(self) -> int:
        """Return how many articles have a vector of their text."""
        return self.one("SELECT count(*) FROM articles WHERE NOT stale")

    def has_stale(self) -> bool:
        """Whether any article's vector is missing or of another text."""
        return bool(self.one("SELECT count(*) FROM (SELECT 1 FROM articles WHERE stale LIMIT 1) AS first_one"))

    def files(self) -> list[dict[str, object]]:
        """Return the ledger: the files read, in the order they were begun."""
        rows = self.rows(f"SELECT {', '.join(_FILE_COLUMNS)} FROM files ORDER BY id")
        return [dict(zip(_FILE_COLUMNS, row, strict=True)) for row in rows]

    def has_read(self, sha256: str) -> bool:
        """Whether a file with this digest was read completely."""
        return bool(self.one("SELECT count(*) FROM files WHERE sha256 = ? AND complete", [sha256]))

    def select_pmids(self, condition: Condition) -> Pmids:
        """Return the PMIDs, ascending, of the articles that meet a condition."""
        # Sorted here: to give them in order SQLite may choose to look at all articles.
        sql = condition.pmids or f"SELECT a.pmid FROM articles AS a WHERE {condition.sql}"
        return distinct(self._numbers(sql, condition.parameters))

    # What is known, for planning --------------------------------------------------------------------------------------

    def held(self, pmids: Iterable[int]) -> dict[int, Held]:
        """Return what is stored about those of the articles that exist."""
        rows = self._of(
            pmids,
            "SELECT pmid, version, revised, sequence, added, added_change, record_hash, text_hash FROM articles "
            "WHERE pmid",
        )
        return {pmid: Held(*rest) for pmid, *rest in rows}

    def part_articles(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the articles that are there only because they belong to the part that is kept."""
        return {pmid for (pmid,) in self._of(pmids, "SELECT pmid FROM part_articles WHERE pmid")}

    def damaged_among(self, pmids: Iterable[int]) -> set[int]:
        """Return those of the articles whose record or vector is damaged."""
        pmids = set(pmids)
        hashes = {pmid: known.record_hash for pmid, known in self.held(pmids).items()}
        documents = dict(self._of(pmids, "SELECT pmid, document FROM documents WHERE pmid"))
        sound = {pmid for pmid, known in hashes.items() if is_sound(documents.get(pmid), known)}
        return (hashes.keys() - sound) | self._damaged_vectors(pmids)

    def vector_hashes(self, pmids: Iterable[int]) -> dict[int, bytes]:
        """Return the hashes of the texts that the vectors of these articles were made from."""
        return dict(self._of(pmids, "SELECT pmid, text_hash FROM vectors WHERE pmid"))

    def tombstones(self, pmids: Iterable[int]) -> dict[int, int]:
        """Return which of NLM's files deleted those of the articles that are deleted (0: by hand)."""
        return dict(self._of(pmids, "SELECT pmid, sequence FROM tombstones WHERE pmid"))

    def _unpacked(self, rows: Iterable[Any]) -> Iterator[Article]:
        """Yield the articles of rows of PMIDs and documents but those that are damaged, which are noted."""
        for pmid, document in rows:
            try:
                article = unpack(document)
            except StoreError:
                article = None
            if article is not None and article.pmid == pmid:
                yield article
            else:
                self.damaged.add(pmid)

    def _of(self, pmids: Iterable[int], sql: str) -> Iterable[Any]:
        """Return the rows of a query that ends with the column whose value must be one of the PMIDs."""
        return self.rows(f"{sql} {self.AMONG}", [self.listed(pmids)])

    def _numbers(self, sql: str, parameters: Sequence[object] = ()) -> Pmids:
        return np.fromiter((number for (number,) in self.rows(sql, parameters)), np.int64)


def ranked(
    queries: Vectors,
    candidates: Sequence[Iterable[int]],
    vectors_of: Callable[[Iterable[int]], tuple[Pmids, Vectors]],
    limit: int,
) -> list[tuple[Pmids, Vectors]]:
    """Return, for each query, the `limit` candidates of the highest exact cosine and these cosines, best first.

    `vectors_of` gives the stored vectors of PMIDs; candidates without one are left out. Equal cosines are in order of
    PMID, the newest first.
    """
    pmids, vectors = vectors_of({int(pmid) for some in candidates for pmid in some})
    row_of = {pmid: row for row, pmid in enumerate(pmids.tolist())}
    answers = []
    for query, some in zip(queries, candidates, strict=True):
        rows = np.array([row_of[int(pmid)] for pmid in some if int(pmid) in row_of], np.int64)
        scores = vectors[rows] @ query
        best = np.lexsort((-pmids[rows], -scores))[:limit]
        answers.append((pmids[rows[best]], scores[best]))
    return answers


class WritableStore(Store):
    """A store that is written to. Every method that writes is one transaction with one change number."""

    #: Whether other processes may write between `plan` and `apply`.
    SEVERAL_WRITERS: ClassVar[bool]

    # What a database provides -----------------------------------------------------------------------------------------

    @abstractmethod
    def transact(self, work: Callable[[int], _Result]) -> _Result:
        """Do some work, which is given the change number, as one transaction: all of it or nothing."""

    @abstractmethod
    def note(self, key: str, value: str) -> None:
        """Set a setting that is computed from the articles and changes nothing: it gets no change number."""

    @abstractmethod
    def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute a statement for each row of parameters; within `transact`."""

    def note_replaced(self, table: str, rows: int) -> None:
        """Note that rows were deleted that others took the place of; within `transact`."""

    @abstractmethod
    def _put_rows(
        self,
        rows: Sequence[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        stale: set[int],
    ) -> None:
        """Write articles in place of those of their PMIDs; `added` gives the day and the change of their first time."""

    @abstractmethod
    def _put_static_rows(self, pmids: Sequence[int], codes: npt.NDArray[np.int8], change: int) -> None:
        """Write static vectors, (n, dimension) int8, in place of those of their PMIDs."""

    @abstractmethod
    def put_manifest(self, manifest: Manifest) -> None:
        """Record what the index is; within `transact`."""

    @abstractmethod
    def _put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors, change: int) -> None:
        """Write vectors in place of those of their PMIDs; `hashes` are (pmid, hash of the text) of each row."""

    @abstractmethod
    def _forget(self, pmids: list[int]) -> None:
        """Remove what only this database keeps of articles."""

    # Articles and deletions -------------------------------------------------------------------------------------------

    def plan(
        self,
        records: Iterable[ArticleRow | Outside | Deletion],
        *,
        sequence: int | None = None,
        restore: bool = False,
        part: bool = False,
    ) -> Plan:
        """Decide what a batch of records does: article rows, and deletions.

        `sequence` is the place of the file in NLM's order. An article replaces another of its PMID if its version is
        higher; then, where both are from NLM's files of one year, if it comes later in their order; then, if it was
        revised later; where these do not tell, the newcomer wins. A deletion of a version leaves a newer one alone. A
        deleted article comes back only from a later file of NLM's, or if `restore` is set. `part` says that only a
        part of PubMed is kept: what is new is noted as belonging to it.
        """
        basis = self.change() if self.SEVERAL_WRITERS else None
        plan = make_plan(self, records, sequence=sequence, restore=restore, part=part)
        plan.basis = basis
        return plan

    def apply(self, plan: Plan, vectors: Vectors | None = None) -> int:
        """Write a plan and the vectors of `plan.to_encode` ((n, dimension) float32, unit rows), all or nothing.

        Without vectors the articles to encode are stored as stale. Returns the change number. Raises PlanOutdatedError
        if another writer has written since the plan was made what the plan speaks of.
        """

        def work(change: int) -> int:
            if plan.basis is not None and plan.basis < change - 1:
                self._check(plan)
            self.remove(plan.deletions, change, plan.sequence)
            self.remove(plan.left, change, LEFT_PART)
            self._put_plan(plan, change, {row.pmid for row in plan.to_encode} if vectors is None else set())
            if vectors is not None:
                self._put_vectors([(row.pmid, row.text_hash) for row in plan.to_encode], vectors, change)
            return change

        return self.transact(work)

    def delete(self, pmids: Iterable[int]) -> int:
        """Delete articles by hand and return how many there were; they stay deleted whatever is read later.

        A PMID that is not there leaves no trace.
        """
        numbers = set(pmids)

        def work(change: int) -> int:
            there = self.existing(numbers)
            self.remove(there, change, 0)
            return len(there)

        return self.transact(work)

    def put_vectors(self, hashes: Sequence[tuple[int, bytes]], vectors: Vectors) -> int:
        """Store vectors of (pmid, text hash) pairs and return how many.

        One whose article has changed or gone since is left out.
        """

        def work(change: int) -> int:
            current = self.text_hashes(pmid for pmid, _ in hashes)
            keep = [
                row
                for row, (pmid, text_hash) in enumerate(hashes)
                if pmid in current and current[pmid].text_hash == text_hash
            ]
            self._put_vectors([hashes[row] for row in keep], vectors[keep], change)
            self._for("UPDATE articles SET stale = false WHERE pmid", [hashes[row][0] for row in keep])
            return len(keep)

        return self.transact(work)

    def put_copied(self, copied: Sequence[Copied], vectors: Vectors) -> None:
        """Put articles of another index in place of those of their PMIDs; within `transact`.

        `vectors`, (n, dimension) float32, are those of the articles that have one, in their order.
        """
        change, pmids = self.change(), [article.row.pmid for article in copied]
        self._put_articles(
            [article.row for article in copied],
            change,
            {article.row.pmid: (article.added, article.added_change) for article in copied},
            {article.row.pmid: article.sequence for article in copied},
            {article.row.pmid for article in copied if article.stale},
        )
        for table in ("tombstones", "vectors", "part_articles"):
            self._for(f"DELETE FROM {table} WHERE pmid", pmids)
        encoded = [(article.row.pmid, article.vector_hash) for article in copied if article.vector_hash is not None]
        self._put_vectors(encoded, vectors, change)
        of_part = [(article.row.pmid,) for article in copied if article.of_part]
        self.executemany("INSERT INTO part_articles VALUES (?)", of_part)

    def remove(self, pmids: Iterable[int], change: int, sequence: int) -> None:
        """Delete articles with a tombstone each, as a file of NLM's does; within `transact`."""
        removed = sorted(pmids)
        if not removed:
            return
        self._forget(removed)
        for table in ("articles", "documents", "vectors", "static_vectors", "part_articles", "seen_later"):
            self._for(f"DELETE FROM {table} WHERE pmid", removed)
        # A deletion by hand (0) stays one by hand; of NLM's files the last counts.
        self.executemany(
            "INSERT INTO tombstones VALUES (?, ?, ?) ON CONFLICT (pmid) DO UPDATE SET change = excluded.change, "
            "sequence = CASE WHEN tombstones.sequence = 0 OR tombstones.sequence > excluded.sequence "
            "THEN tombstones.sequence ELSE excluded.sequence END",
            [(pmid, change, sequence) for pmid in removed],
        )

    def remake_rows(self, pmids: list[int]) -> None:
        """Write again, from their records, all that is made from these; vectors of another text become stale."""
        for start in range(0, len(pmids), _AT_ONCE):
            some = pmids[start : start + _AT_ONCE]

            def work(change: int, some: list[int] = some) -> None:
                rows = [prepare(article) for article in self.get_many(some).values()]
                held, hashes = self.held(some), self.vector_hashes(some)
                self._put_articles(
                    rows,
                    change,
                    {pmid: (known.added, known.added_change) for pmid, known in held.items()},
                    {pmid: known.sequence for pmid, known in held.items()},
                    {row.pmid for row in rows if hashes.get(row.pmid) != row.text_hash},
                )

            self.transact(work)

    def drop_vectors(self, pmids: list[int]) -> None:
        """Remove vectors, so that `stale` names their articles."""

        def work(_: int) -> None:
            self._for("DELETE FROM vectors WHERE pmid", pmids)
            self._for("UPDATE articles SET stale = true WHERE pmid", pmids)

        if pmids:
            self.transact(work)

    def remove_strays(self) -> None:
        """Remove what belongs to no article, and tombstones of articles that are there."""

        def work(_: int) -> None:
            for table in ("documents", "vectors", "static_vectors"):
                self.executemany(f"DELETE FROM {table} WHERE pmid NOT IN (SELECT pmid FROM articles)", [()])
            self.executemany("DELETE FROM tombstones WHERE pmid IN (SELECT pmid FROM articles)", [()])

        self.transact(work)

    # Static vectors --------------------------------------------------------------------------------------------------

    def put_static(self, static: StaticVectors | None, progress: Callable[[float], None] = lambda _: None) -> None:
        """Make the static vectors of all articles with `static` from now on, or have none; all or nothing.

        So those of two kinds are never in one state of the index. `progress` receives the share that is done.
        """

        def work(change: int) -> None:
            manifest = self.manifest()
            self.put_manifest(msgspec.structs.replace(manifest, static=static.fingerprint if static else ""))
            list(self.rows(STATIC_MODELS.format(bytes=self.BYTES)))
            for table in ("static_models", "static_vectors"):
                self.executemany(f"DELETE FROM {table}", [()])
            if static is None:
                return
            if static is not builtin_static():
                self.executemany("INSERT INTO static_models VALUES (?, ?)", [(static.fingerprint, static.content())])
            total, done, after = max(self.one("SELECT count(*) FROM articles"), 1), 0, 0
            sql = "SELECT pmid, document FROM documents WHERE pmid > ? ORDER BY pmid LIMIT ?"
            while rows := list(self.rows(sql, [after, _AT_ONCE])):
                after, done = rows[-1][0], done + len(rows)
                articles = list(self._unpacked(rows))
                texts = [embedding_text(article) for article in articles]
                self._put_static_rows([article.pmid for article in articles], static.documents(texts), change)
                progress(min(done / total, 1.0))

        self.transact(work)

    def _put_static(self, rows: Sequence[ArticleRow], change: int) -> None:
        """Write the static vectors of articles, where the index has such; within the transaction that writes these."""
        if (static := self.static()) is not None:
            self._put_static_rows([row.pmid for row in rows], static.documents([row.text for row in rows]), change)

    def put_setting(self, key: str, value: str) -> None:
        """Set a setting; within `transact`."""
        self.executemany(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", [(key, value)]
        )

    def _put_articles(
        self,
        rows: Sequence[ArticleRow],
        change: int,
        added: Mapping[int, tuple[int, int]],
        sequences: Mapping[int, int],
        stale: set[int],
    ) -> None:
        """Write articles as `_put_rows` does, what they cite, and which retractions are theirs by DOI."""
        self._put_rows(rows, change, added, sequences, stale)
        self._claim_retractions(rows)
        put_edges(self, Kind.RECORDS, change, record_edges((row.pmid, row.references) for row in rows))

    def _claim_retractions(self, rows: Sequence[ArticleRow]) -> None:
        """Note the PMIDs of articles at the entries of Retraction Watch's list that are theirs by DOI only."""
        if not self.one("SELECT count(*) FROM (SELECT 1 FROM retractions LIMIT 1) AS one"):
            return
        self._for("UPDATE retractions SET pmid = 0 WHERE pmid", [-row.pmid for row in rows])
        owners = {row.doi: row.pmid for row in rows if row.doi}
        dois = list(owners)
        for start in range(0, len(dois), _AT_ONCE):
            some = dois[start : start + _AT_ONCE]
            marks = ", ".join("?" for _ in some)
            listed = {doi for (doi,) in self.rows(f"SELECT doi FROM retractions WHERE doi IN ({marks})", some)}
            self.name_retracted({doi: owners[doi] for doi in listed})

    def name_retracted(self, owners: Mapping[str, int]) -> None:
        """Note the PMIDs of articles by their DOIs at entries of no other article of the index; within `transact`."""
        self.executemany(
            "UPDATE retractions SET pmid = ? WHERE doi = ? "
            "AND NOT EXISTS (SELECT 1 FROM articles AS a WHERE a.pmid = retractions.pmid)",
            [(-pmid, doi) for doi, pmid in owners.items()],
        )

    def _put_plan(self, plan: Plan, change: int, stale: set[int]) -> None:
        rows = list(plan.rows.values())
        now = today(), change
        added = {row.pmid: plan.first.get(row.pmid, now) for row in rows}
        self._put_articles(rows, change, added, dict.fromkeys(plan.rows, plan.sequence), stale)
        self._for("DELETE FROM tombstones WHERE pmid", plan.restored)
        self.executemany(
            "UPDATE articles SET sequence = ? WHERE pmid = ?", [(plan.sequence, pmid) for pmid in plan.confirmed]
        )
        self._for("DELETE FROM part_articles WHERE pmid", plan.by_hand)
        self.executemany(
            "INSERT INTO part_articles VALUES (?) ON CONFLICT DO NOTHING",
            [(pmid,) for pmid in plan.joined & plan.rows.keys()],
        )
        self.executemany(
            "INSERT INTO seen_later VALUES (?, ?) ON CONFLICT (pmid) DO UPDATE SET sequence = "
            "CASE WHEN seen_later.sequence > excluded.sequence THEN seen_later.sequence ELSE excluded.sequence END",
            list(plan.seen_later.items()),
        )

    def _check(self, plan: Plan) -> None:
        """Raise PlanOutdatedError if others have changed any article that a plan speaks of."""
        touched = self.listed(
            [*plan.rows, *plan.deletions, *plan.confirmed, *plan.left, *plan.by_hand, *plan.seen_later]
        )
        changed = " UNION ".join(
            f"SELECT pmid FROM {table} WHERE pmid {self.AMONG} AND change > ?"
            for table in ("articles", "vectors", "tombstones")
        )
        for (pmid,) in self.rows(f"{changed} LIMIT 1", [touched, plan.basis] * 3):
            raise PlanOutdatedError(f"PMID {pmid} was written by another process meanwhile")

    def _for(self, sql: str, pmids: Iterable[int]) -> None:
        """Execute a statement that ends with the column whose value must be one of the PMIDs; nothing for none."""
        if pmids := list(pmids):
            self.executemany(f"{sql} {self.AMONG}", [[self.listed(pmids)]])

    # The ledger -------------------------------------------------------------------------------------------------------

    def begin_file(self, name: str, sha256: str) -> None:
        """Note that a file is being read."""
        self.transact(
            lambda _: self.executemany(
                "INSERT INTO files (name, sha256, complete, started, counts) VALUES (?, ?, false, ?, '{}') "
                "ON CONFLICT (name, sha256) DO UPDATE SET complete = false, started = excluded.started, error = NULL",
                [(name, sha256, utc_now())],
            )
        )

    def finish_file(self, name: str, sha256: str, counts: Mapping[str, int], error: str | None = None) -> None:
        """Note what came of a file; with `error`, that it could not be read completely."""
        self.transact(
            lambda _: self.executemany(
                "UPDATE files SET complete = ?, finished = ?, counts = ?, error = ? WHERE name = ? AND sha256 = ?",
                [
                    (
                        error is None,
                        utc_now(),
                        json.dumps(dict(counts)),
                        error and error.encode("utf-8", "backslashreplace").decode(),
                        name,
                        sha256,
                    )
                ],
            )
        )
