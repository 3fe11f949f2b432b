"""Encoding by a Ray cluster: the stale texts of an index go to workers, and their vectors are committed as they come.

The index is read and written here, on one machine; workers see texts and give vectors. A worker that is killed is
started again by Ray and its texts are encoded again; a run that is stopped resumes with what is still stale; and the
vector of a text that has changed meanwhile is not stored, for the store compares the hash it was made from.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from search.errors import ConfigError, ModelError
from search.extras import install_command
from search.ingest.pipeline import Encodes, IngestReport, texts_and_hashes
from search.ingest.run_progress import Progress
from search.ingest.static_models import fit_if_due
from search.models.tokens import Text
from search.storage.backend import Writer

__all__ = ["encode_on_cluster", "ray_cluster"]

#: Articles in one task: some seconds of work on a core, and about half of one on a GPU. Where few are stale a task has
#: fewer, down to the least that is worth one, so that each worker has some and all end at about the same time.
BATCH, GPU_BATCH = 256, 1024
_LEAST, _TASKS_EACH = 32, 4

#: How often a worker that died is restarted and its texts are tried again.
_RESTARTS, _RETRIES = 100, 5

#: Seconds that the head of a cluster may take to accept a connection.
_PATIENCE = 10.0

#: Tasks that wait at each worker, so that it never waits for the index.
_WAITING = 2

#: Texts, and the PMID and the hash of each.
Batch: TypeAlias = tuple[list[Text], list[tuple[int, bytes]]]


@contextmanager
def ray_cluster(address: str) -> Iterator[Any]:
    """Connect to a cluster (`auto`, `ray://host:10001`, `host:6379`), or start one on this machine (`local`).

    Raises ConfigError if Ray is not installed or there is no cluster at the address.
    """
    _check_reachable(address)
    # Ray would otherwise report how it is used to its makers.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Ray would otherwise install this process's packages again on every worker that `uv run` starts.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Ray starts workers as the least urgent (15), so that anything else that runs on this machine all but stops them.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"encoding by a cluster needs the extra `ray` ({error}): {install_command('ray')}") from error
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        raise ConfigError(f"no Ray cluster answers at {address!r}: {str(error).splitlines()[0]}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise ConfigError if nothing listens at an address with a port: Ray itself would wait for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"no Ray cluster answers at {address!r}: {error}") from error


class Worker:
    """What runs on the cluster: a model, loaded once."""

    def __init__(self, load: Callable[[], Encodes], number: int, cores: int) -> None:
        if cores and hasattr(os, "sched_setaffinity"):
            # Models use all the cores they see; workers of one machine must not take each other's.
            seen = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {seen[(number * cores + core) % len(seen)] for core in range(cores)})
        self._encoder = load()

    def encode(self, texts: list[Text]) -> Any:
        """Return the vectors of documents: (n, dimension) float32."""
        return self._encoder.encode(texts, kind="document")


def encode_on_cluster(
    writer: Writer,
    ray: Any,
    load: Callable[[], Encodes],
    *,
    workers: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> IngestReport:
    """Encode the stale articles of an index; `load` makes an encoder on each worker.

    There is a worker for each GPU of the cluster, or else `workers` of them, or one for each four cores. Raises
    ModelError if the model cannot be loaded there, or texts cannot be encoded; what was committed stays.
    """
    resources = ray.cluster_resources()
    gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
    actors = _start(ray, load, gpus, cores, workers)
    report = IngestReport()
    total = max(writer.store.counts()["stale"], 1)
    size = min(GPU_BATCH if gpus else BATCH, max(_LEAST, total // (_TASKS_EACH * len(actors))))
    while True:
        before = report.encoded
        for hashes, vectors in _encoded(ray, actors, _stale(writer, size)):
            report.encoded += writer.store.put_vectors(hashes, vectors)
            report.merged |= writer.merge_if_due()
            if progress is not None:
                progress(Progress("", report.read, report.encoded, min(report.encoded / total, 1.0)))
        # Texts that changed while they were encoded are still stale: again, until nothing is.
        if report.encoded == before:
            report.merged |= fit_if_due(writer, writer.store.count_encoded(), progress)
            report.merged |= writer.merge_if_due(last=True)
            return report


def _start(ray: Any, load: Callable[[], Encodes], gpus: int, cores: int, workers: int | None) -> list[Any]:
    number = gpus or workers or max(1, cores // 4)
    each = 1 if gpus else max(1, cores // number)
    # Killed workers come back, and what they did is done again; not for ever, for a text may be what kills them.
    kind = ray.remote(max_restarts=_RESTARTS, max_task_retries=_RETRIES, num_gpus=1 if gpus else 0, num_cpus=each)(
        Worker
    )
    return [kind.remote(load, place, 0 if gpus else each) for place in range(number)]


def _stale(writer: Writer, size: int) -> Iterator[Batch]:
    """Yield the texts of all stale articles, in order of PMID, `size` at a time."""
    after = 0
    while articles := writer.store.stale(size, after=after):
        after = articles[-1].pmid
        yield texts_and_hashes(articles, writer.manifest.pairs)


def _encoded(ray: Any, actors: list[Any], batches: Iterator[Batch]) -> Iterator[tuple[list[tuple[int, bytes]], Any]]:
    """Yield of each batch the PMIDs and hashes, and the vectors, as they come; every worker is kept busy."""
    waiting: dict[Any, tuple[list[tuple[int, bytes]], Any]] = {}

    def give(actor: Any) -> None:
        batch = next(batches, None)
        if batch is not None:
            waiting[actor.encode.remote(batch[0])] = (batch[1], actor)

    for _ in range(_WAITING):
        for actor in actors:
            give(actor)
    while waiting:
        (done, *_), _ = ray.wait(list(waiting))
        hashes, actor = waiting.pop(done)
        try:
            vectors = ray.get(done)
        except ray.exceptions.RayError as error:
            text = str(error).strip().splitlines()
            raise ModelError(f"a worker of the cluster could not encode: {text[-1] if text else error!r}") from error
        give(actor)
        yield hashes, vectors
