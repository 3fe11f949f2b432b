"""A Ray cluster encodes what is stale: a worker may be killed, and a text may change, and every vector is right."""

import functools
import os
import signal
import socket
import sys
import warnings
from pathlib import Path

import pytest
from helpers import WordEncoder, article

from search.errors import ConfigError, ModelError
from search.ingest import ray_cluster as clusters
from search.storage import backend
from search.storage.rows import prepare

pytestmark = [
    # Ray's own sockets and processes are closed when the cluster ends, not before.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def ray():
    """A cluster of this machine with room for two workers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("ray", reason="the extra `ray` is not installed")
        # Workers import the tests' encoders from here.
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
        with clusters.ray_cluster("local") as cluster:
            yield cluster


@pytest.fixture
def writer(address, monkeypatch):
    monkeypatch.setattr(clusters, "BATCH", 8)
    found = backend.open_writer(address)
    records = [prepare(article(number, f"text {number}")) for number in range(1, 101)]
    found.store.apply(found.store.plan(records))
    yield found
    found.close()


def check_vectors(store, encoder):
    """Every vector is that of the text that its article has now."""
    assert store.counts()["stale"] == 0
    pmids, vectors = store.vectors(store.pmids().tolist())
    titles = {pmid: found.title for pmid, found in store.get_many(pmids.tolist()).items()}
    expected = encoder.encode([titles[pmid] for pmid in pmids.tolist()])
    assert abs(vectors - expected).max() < 1e-3
    return len(pmids)


class Mortal(WordEncoder):
    """Kills its process in the middle of a run, once."""

    def __init__(self, mark):
        super().__init__()
        self.mark, self.calls = mark, 0

    def encode(self, texts, kind="document"):
        self.calls += 1
        if self.calls == 3:
            try:
                self.mark.touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().encode(texts, kind)


class Broken(WordEncoder):
    """A model that does not load."""

    def __init__(self):
        raise RuntimeError("no such weights")


def test_all_that_is_stale_is_encoded_and_a_killed_worker_costs_nothing(ray, writer, encoder, tmp_path):
    mark = tmp_path / "killed"
    seen = []
    load = functools.partial(Mortal, mark)
    report = clusters.encode_on_cluster(
        writer, ray, load, workers=2, progress=lambda state: seen.append(state.fraction)
    )
    assert mark.exists()
    assert report.encoded == 100
    assert seen == sorted(seen) and seen[-1] == 1.0
    assert check_vectors(writer.store, encoder) == 100
    # Nothing is left to do.
    assert clusters.encode_on_cluster(writer, ray, load, workers=1).encoded == 0


def test_few_texts_are_shared_out_too(ray, writer, encoder, monkeypatch):
    monkeypatch.setattr(clusters, "BATCH", 256)
    done = []
    clusters.encode_on_cluster(writer, ray, WordEncoder, workers=2, progress=lambda state: done.append(state.encoded))
    # 100 articles: no worker is given all of them while the other has none.
    assert len(done) == 4 and done[-1] == 100
    assert check_vectors(writer.store, encoder) == 100


def test_workers_are_as_urgent_as_the_command_that_starts_them(ray):
    @ray.remote
    def urgency():
        return os.nice(0)

    assert ray.get(urgency.remote()) == os.nice(0)


def test_a_text_that_changes_meanwhile_gets_the_vector_of_what_it_is_now(ray, writer, encoder):
    revised = []

    def revise(state):
        if not revised:
            revised.append(prepare(article(90, "quite another text", revised="2025-01-01")))
            # What has its vector, what a worker is at, and what no worker has had yet.
            revised.append(prepare(article(2, "another too", revised="2025-01-01")))
            revised.append(prepare(article(12, "and another", revised="2025-01-01")))
            writer.store.apply(writer.store.plan(revised))
            writer.store.delete([91])

    report = clusters.encode_on_cluster(writer, ray, WordEncoder, workers=1, progress=revise)
    assert check_vectors(writer.store, encoder) == 99
    assert report.encoded >= 99


def test_a_run_that_was_stopped_goes_on(ray, writer, encoder):
    def stop(state):
        if state.encoded >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clusters.encode_on_cluster(writer, ray, WordEncoder, workers=1, progress=stop)
    left = writer.store.counts()["stale"]
    assert left == 76
    assert clusters.encode_on_cluster(writer, ray, WordEncoder, workers=1).encoded == left
    assert check_vectors(writer.store, encoder) == 100


def test_a_model_that_does_not_load_is_told(ray, writer):
    with pytest.raises(ModelError, match="no such weights"):
        clusters.encode_on_cluster(writer, ray, Broken, workers=1)


def test_without_ray_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"extra .ray. .*: pip install 'ray>="):
        clusters.ray_cluster("local").__enter__()


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}"])
def test_an_address_where_nothing_listens_is_told_at_once(form):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = form.format(taken.getsockname()[1])
        with pytest.raises(ConfigError, match="no Ray cluster answers at"), clusters.ray_cluster(address):
            pass
