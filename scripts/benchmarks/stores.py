"""A folder and PostgreSQL with the same articles: adding, merging, disk, and answers with and without filters.

scripts/benchmark stores INDEX COPIES ADDRESS...: each address is filled with COPIES variants of every article of an
index, their vectors turned a little, and is then asked. No text is encoded. An address that is there is only asked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from scripts.benchmarks.timing import quantiles, report
from search.config import Config, PostgresConfig
from search.models.vectors import normalize
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters, MeshTerm
from search.retrieval.request import SearchOptions
from search.storage import backend
from search.storage.copy import BATCH, read_articles
from search.storage.postgres.address import is_postgres
from search.storage.rows import ArticleRow, prepare, unpack

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
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Fill and ask each address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="an index of real articles")
    parser.add_argument("copies", type=int)
    parser.add_argument("addresses", nargs="+")
    parser.add_argument("--build-memory", default=PostgresConfig().build_memory, help="for PostgreSQL's HNSW index")
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    config = Config(postgres=PostgresConfig(build_memory=options.build_memory))
    figures: dict[str, Any] = {"copies": options.copies, "build_memory": options.build_memory}
    for address in options.addresses:
        found: dict[str, Any] = {}
        if not backend.exists(address):
            found |= _fill(options.source, options.copies, address, config)
        figures[backend.name_of(address)] = found | _ask(options.source, address)
    report("stores", figures)


# What a step takes ---------------------------------------------------------------------------------------------------


class Server(NamedTuple):
    """The processes of a PostgreSQL server of this machine; None of them where it is another's, or for a folder."""

    postmaster: int | None

    @classmethod
    def of(cls, address: str) -> Server:
        """Find the server that answers at an address."""
        if not is_postgres(address):
            return cls(None)
        reader = backend.open_reader(address)
        with reader.view() as view:
            ((pid,),) = view.store.rows("SELECT pg_backend_pid()")
        found = _stat(pid)
        reader.close()
        return cls(int(found[1]) if found else None)

    def processes(self) -> list[int]:
        """Return their numbers."""
        if self.postmaster is None:
            return []
        children = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        return [self.postmaster, *(pid for pid in children if (_stat(pid) or ["", "0"])[1] == str(self.postmaster))]

    def seconds(self) -> float:
        """Return what they have had of the processor so far; those that have ended count for the first of them."""
        ticks = 0
        for pid in self.processes():
            ticks += sum(map(int, (_stat(pid) or ["0"] * 15)[11 : 15 if pid == self.postmaster else 13]))
        return ticks / _TICKS

    def megabytes(self) -> float:
        """Return the memory they take together, what they share counted once."""
        total = 0
        for pid in self.processes():
            with suppress(OSError):
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total / 1024


def _stat(pid: int) -> list[str] | None:
    """Return what the system says of a process, from its state on; None where it is not there."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return None


@contextmanager
def _measured(server: Server) -> Iterator[dict[str, float]]:
    """Yield what is there in the end: seconds, those of the processor here and there, and the memory there."""
    figures: dict[str, float] = {}
    most, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(5):
            most.append(server.megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    passed, own, theirs = time.perf_counter(), time.process_time(), server.seconds()
    try:
        yield figures
    finally:
        figures["seconds"] = round(time.perf_counter() - passed, 1)
        figures["processor_s"] = round(time.process_time() - own, 1)
        done.set()
        watcher.join()
        if server.postmaster is not None:
            figures["server_processor_s"] = round(server.seconds() - theirs, 1)
            figures["server_memory_mb"] = round(max(most))


# Filling -------------------------------------------------------------------------------------------------------------


def _fill(source: str, copies: int, address: str, config: Config) -> dict[str, Any]:
    reader = backend.open_reader(source)
    manifest = msgspec.structs.replace(reader.manifest, vector_change=0, vector_segments=(), lexical_part=None)
    backend.create(address, manifest, config)
    server = Server.of(address)
    writer = backend.open_writer(address, config)
    with _measured(server) as fill:
        shares = list(_add_variants(reader, writer, copies))
    number = sum(articles for articles, _ in shares)
    fill |= {"articles": number, "per_second": round(number / fill["seconds"], 1)}
    # What is filled may slow what comes after: the first and the last tenth, article by article.
    tenth = max(len(shares) // 10, 1)
    for name, some in (("first_tenth", shares[:tenth]), ("last_tenth", shares[-tenth:])):
        fill[f"per_second_{name}"] = round(sum(n for n, _ in some) / sum(seconds for _, seconds in some), 1)
    print(f"{backend.name_of(address)}: filled {fill}", flush=True)
    with _measured(server) as merge:
        writer.merge()
    print(f"{backend.name_of(address)}: merged {merge}", flush=True)
    writer.close()
    reader.close()
    return {"fill": fill, "merge": merge}


def _add_variants(reader: backend.Reader, writer: backend.Writer, copies: int) -> Iterator[tuple[int, float]]:
    """Add variants of every article, and yield of each transaction how many there were and the seconds it took."""
    random = np.random.default_rng(0)
    number, after = 0, 0
    while True:
        with reader.view() as view:
            articles, vectors = read_articles(view.store, after, BATCH)
        if not articles:
            return
        after = articles[-1].row.pmid
        for _ in range(copies):
            begun = time.perf_counter()
            noise = _NOISE * normalize(random.standard_normal(vectors.shape).astype(np.float32))
            variants = [
                msgspec.structs.replace(article, row=_renumbered(article.row, number + place))
                for place, article in enumerate(articles, start=1)
            ]
            number += len(articles)
            turned = normalize(vectors + noise)
            writer.store.transact(lambda _, v=variants, t=turned: writer.store.put_copied(v, t))
            yield len(articles), time.perf_counter() - begun


def _renumbered(row: ArticleRow, pmid: int) -> ArticleRow:
    return prepare(msgspec.structs.replace(unpack(row.document), pmid=pmid))


# Asking --------------------------------------------------------------------------------------------------------------


def _ask(source: str, address: str) -> dict[str, Any]:
    reader, original = backend.open_reader(address), backend.open_reader(source)
    with original.view() as view:
        pmids = view.store.pmids()
        chosen = np.random.default_rng(1).choice(pmids, _QUESTIONS, replace=False)
        found = view.store.get_many(chosen.tolist())
        places, vectors = view.store.vectors(chosen.tolist())
        questions = [found[int(pmid)].title for pmid in places]
    original.close()
    vector_of = dict(zip(questions, vectors, strict=True))

    def encode(texts: Sequence[str], _kind: str) -> np.ndarray:
        return np.stack([vector_of[text] for text in texts])

    server, searches = Server.of(address), dict[str, Any]()
    for name, filters in _FILTERS.items():
        with reader.view() as view:
            allowed = Engine(reader, encode).allowed(view, filters)
            searches[name] = {"passing": view.store.counts()["articles"] if allowed is None else view.count(allowed)}
        for mode in ("semantic", "lexical", "hybrid"):
            engine = Engine(reader, encode)
            options = SearchOptions(limit=_LIMIT, mode=mode, filters=filters, fold=False)  # type: ignore[arg-type]

            def ask(question: str, options: SearchOptions = options, engine: Engine = engine) -> None:
                engine.search([question], options)

            searches[name][mode] = _times(ask, questions, server)
            print(f"  {name}, {mode}: {searches[name][mode]}", flush=True)
    sizes = {name: round(size / 1e6, 1) for name, size in reader.sizes().items()}
    recall = _recall(reader, vectors)
    reader.close()
    memory = {"server_memory_mb": round(server.megabytes())} if server.postmaster else {}
    return {
        "disk_mb": round(sum(sizes.values()), 1),
        "sizes_mb": sizes,
        "searches": searches,
        "recall@10": recall,
    } | memory


def _times(ask: Callable[[str], None], questions: list[str], server: Server) -> dict[str, float]:
    """Ask all, and return how long each took and what it took of the processor, here and at the server."""
    ask(questions[0])
    seconds = []
    busy = time.process_time() + server.seconds()
    for question in questions:
        started = time.perf_counter()
        ask(question)
        seconds.append(time.perf_counter() - started)
    busy = time.process_time() + server.seconds() - busy
    return {**quantiles(seconds), "processor_ms": round(busy / len(questions) * 1000, 2)}


def _recall(reader: backend.Reader, vectors: np.ndarray) -> float:
    """Return how many of the ten nearest by comparing all are found."""
    with reader.view() as view:
        found = view.nearest(vectors, _LIMIT)
        best: list[list[tuple[float, int]]] = [[] for _ in vectors]
        for some, rows in view.store.vector_batches(10_000):
            for kept, scores in zip(best, vectors @ rows.T, strict=True):
                top = np.argsort(-scores)[:_LIMIT]
                kept += zip(scores[top].tolist(), some[top].tolist(), strict=True)
        hits = [
            len({pmid for _, pmid in sorted(kept, reverse=True)[:_LIMIT]} & set(answer.tolist())) / _LIMIT
            for kept, (answer, _) in zip(best, found, strict=True)
        ]
    return round(statistics.mean(hits), 4)


if __name__ == "__main__":
    main()
