"""Bulk insert of articles and vectors against a plain executemany of the same rows."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
from pathlib import Path

import numpy as np

from scripts.benchmarks.timing import in_turn, ratio, report
from search.article import AbstractSection, Article, MeshHeading
from search.storage.folder.sqlite_writer import StoreWriter
from search.storage.manifest import Manifest
from search.storage.rows import ArticleRow, prepare

COUNT, BATCH, DIMENSION = 20_000, 2_000, 384


def rows() -> list[ArticleRow]:
    """Make articles of about the size of real ones."""
    random = np.random.default_rng(0)
    vocabulary = [f"word{number}" for number in range(20_000)]
    made = []
    for pmid in range(1, COUNT + 1):
        words = [vocabulary[place] for place in random.integers(0, len(vocabulary), 190)]
        made.append(
            prepare(
                Article(
                    pmid=pmid,
                    title=" ".join(words[:14]),
                    abstract=(AbstractSection(" ".join(words[14:])),),
                    mesh_headings=tuple(MeshHeading(f"Heading {n}") for n in random.integers(0, 3000, 10)),
                )
            )
        )
    return made


def main() -> None:
    """Measure both in turn."""
    made = rows()
    vectors = np.random.default_rng(1).standard_normal((COUNT, DIMENSION)).astype(np.float32)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = StoreWriter(Path(folder) / "articles.db", create=True)
            store.create(Manifest(model="", fingerprint="", dimension=DIMENSION, text_rule="", vectors="float16"))
            for start in range(0, COUNT, BATCH):
                plan = store.plan(made[start : start + BATCH])
                store.apply(plan, vectors[start : start + BATCH])
            store.close()

    def plain() -> None:
        """Write the same columns and vectors, without looking whether a PMID is there, and without terms."""
        with tempfile.TemporaryDirectory() as folder:
            connection = sqlite3.connect(Path(folder) / "plain.db", isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE a (pmid INTEGER PRIMARY KEY, h BLOB, t BLOB, document BLOB, vector BLOB)")
            connection.execute("CREATE TABLE t (term TEXT, pmid INTEGER, PRIMARY KEY (term, pmid)) WITHOUT ROWID")
            for start in range(0, COUNT, BATCH):
                stored = vectors[start : start + BATCH].astype(np.float16)
                connection.execute("BEGIN")
                connection.executemany(
                    "INSERT INTO a VALUES (?, ?, ?, ?, ?)",
                    [
                        (row.pmid, row.text_hash, row.record_hash, row.document, vector.tobytes())
                        for row, vector in zip(made[start : start + BATCH], stored, strict=True)
                    ],
                )
                connection.executemany(
                    "INSERT INTO t VALUES (?, ?)",
                    sorted((term.name, row.pmid) for row in made[start : start + BATCH] for term, _ in row.terms),
                )
                connection.execute("COMMIT")
            connection.close()

    seconds = in_turn({"plain": plain, "ours": ours}, runs=5)
    report(
        "store",
        {
            "articles": COUNT,
            "articles_per_second": {name: round(COUNT / statistics.median(runs)) for name, runs in seconds.items()},
            "plain_over_ours": ratio(seconds["plain"], seconds["ours"]),
        },
    )


if __name__ == "__main__":
    main()
