"""A folder and PostgreSQL with the same articles: adding, merging, disk, and answers with and without filters.

scripts/benchmark stores INDEX COPIES ADDRESS...: each address is filled with COPIES variants of every article of an
index, their vectors turned a little, and is then asked. No text is encoded.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import msgspec
import numpy as np

from search import backend
from search.config import Config
from search.copying import BATCH, read_articles
from search.models.vectors import normalize
from search.query.engine import Engine, Question
from search.query.filters import Filters, MeshTerm
from search.store import ArticleRow, prepare, unpack

_QUESTIONS = 40
_LIMIT = 10
#: How far a variant's vector is from its original: a cosine of about .8.
_NOISE = 0.75

_FILTERS = {
    "no filter": Filters(),
    "mesh Humans": Filters(mesh=(MeshTerm("Humans"),)),
    "since 2015": Filters(year_from=2015),
    "mesh Aspirin": Filters(mesh=(MeshTerm("Aspirin"),)),
}


def main(source: str, copies: str, *addresses: str) -> None:
    """Fill and ask each address."""
    for address in addresses:
        if not backend.exists(address):
            _fill(source, int(copies), address)
        _ask(source, address)


def _fill(source: str, copies: int, address: str) -> None:
    config = Config()
    reader = backend.open_reader(source)
    manifest = msgspec.structs.replace(reader.manifest, vector_change=0, vector_segments=(), lexical_part=None)
    backend.create(address, manifest, config)
    writer = backend.open_writer(address, config)
    random = np.random.default_rng(0)
    started, number, after = time.perf_counter(), 0, 0
    while True:
        with reader.view() as view:
            articles, vectors = read_articles(view.store, after, BATCH)
        if not articles:
            break
        after = articles[-1].row.pmid
        for _ in range(copies):
            noise = _NOISE * normalize(random.standard_normal(vectors.shape).astype(np.float32))
            variants = [
                msgspec.structs.replace(article, row=_renumbered(article.row, number + place))
                for place, article in enumerate(articles, start=1)
            ]
            number += len(articles)
            turned = normalize(vectors + noise)
            writer.store.transact(lambda _, v=variants, t=turned: writer.store.put_copied(v, t))
    added = time.perf_counter() - started
    started = time.perf_counter()
    writer.merge()
    merged = time.perf_counter() - started
    writer.close()
    reader.close()
    rate = number / added
    print(f"{backend.name_of(address)}: {number:,} articles, {rate:,.0f} added a second, merged in {merged:.1f} s")


def _renumbered(row: ArticleRow, pmid: int) -> ArticleRow:
    return prepare(msgspec.structs.replace(unpack(row.document), pmid=pmid))


def _ask(source: str, address: str) -> None:
    reader, original = backend.open_reader(address), backend.open_reader(source)
    with original.view() as view:
        pmids = view.store.pmids()
        chosen = np.random.default_rng(1).choice(pmids, _QUESTIONS, replace=False)
        found = view.store.get_many(chosen.tolist())
        places, vectors = view.store.vectors(chosen.tolist())
        questions = [found[int(pmid)].title for pmid in places]
    original.close()
    vector_of = dict(zip(questions, vectors, strict=True))
    print(f"{backend.name_of(address)}: {sum(reader.sizes().values()) / 1e6:,.0f} MB")
    for name, filters in _FILTERS.items():
        engine = Engine()
        with reader.view() as view:
            allowed = engine.allowed(view, filters)
            passing = view.store.counts()["articles"] if allowed is None else view.count(allowed)
        for mode in ("semantic", "lexical", "hybrid"):

            def ask(question: str, mode: str = mode, filters: Filters = filters, engine: Engine = engine) -> None:
                with reader.view() as view:
                    engine.search(
                        view,
                        [Question(question, filters)],
                        lambda texts: np.stack([vector_of[text] for text in texts]),
                        _LIMIT,
                        mode,  # type: ignore[arg-type]
                        fold=False,
                    )

            print(f"  {name} ({passing:,} pass), {mode}: {_milliseconds(ask, questions)}")
    print(f"  recall of the ten nearest: {_recall(reader, vectors):.3f}")
    reader.close()


def _milliseconds(ask: Callable[[str], None], questions: list[str]) -> str:
    ask(questions[0])
    times = []
    for question in questions:
        started = time.perf_counter()
        ask(question)
        times.append((time.perf_counter() - started) * 1000)
    return f"median {statistics.median(times):,.1f} ms, slowest {max(times):,.1f} ms"


def _recall(reader: backend.Reader, vectors: np.ndarray) -> float:
    """Return how many of the ten nearest by comparing all are found."""
    with reader.view() as view:
        found = view.nearest(vectors, _LIMIT)
        best: list[list[tuple[float, int]]] = [[] for _ in vectors]
        pmids = view.store.pmids()
        for start in range(0, len(pmids), 10_000):
            some, rows = view.store.vectors(pmids[start : start + 10_000].tolist())
            for kept, scores in zip(best, vectors @ rows.T, strict=True):
                top = np.argsort(-scores)[:_LIMIT]
                kept += zip(scores[top].tolist(), some[top].tolist(), strict=True)
        hits = [
            len({pmid for _, pmid in sorted(kept, reverse=True)[:_LIMIT]} & set(answer.tolist())) / _LIMIT
            for kept, (answer, _) in zip(best, found, strict=True)
        ]
    return statistics.mean(hits)


if __name__ == "__main__":
    main(*sys.argv[1:])
