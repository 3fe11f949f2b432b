"""The first stage and encoding at the question: an index answers before its articles are encoded."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers import article
from msgspec import UNSET

from search import time_limit as limits
from search.article import TEXT_RULE, embedding_text
from search.config import Config, config_from_dict
from search.errors import ConfigError
from search.models.static_vectors import builtin_static
from search.presentation.hit_record import hit_record
from search.retrieval import on_demand
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters
from search.retrieval.first_stage import Candidates
from search.retrieval.request import SearchOptions
from search.storage import backend
from search.storage.manifest import Manifest
from search.storage.rows import prepare
from search.time_limit import time_limit

TOPICS = ["aspirin for colorectal cancer", "salt and high blood pressure", "sleep of shift workers", "wheat genetics"]
ARTICLES = [
    article(topic * 20 + n, f"{text} in study {n}", f"A trial of {text}, part {n} of many, with {TOPICS[n % 4]}.")
    for topic, text in enumerate(TOPICS)
    for n in range(1, 20)
]


class Model:
    """A model of 384 dimensions whose vectors are those that the static ones estimate, a little moved."""

    def __init__(self):
        self.encoded = []

    def __call__(self, texts, kind="document"):
        if kind == "document":
            self.encoded += texts
        static = builtin_static()
        rows = static.estimated(static.documents(list(texts)).astype(np.float32))
        moved = [np.random.default_rng(sum(map(ord, text))).normal(size=384) for text in texts]
        rows = rows + 0.01 * np.stack(moved).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def place(new_index):
    address = new_index()
    manifest = Manifest(
        model="builtin", fingerprint="f", dimension=384, text_rule=TEXT_RULE, vectors="float32",
        static=builtin_static().fingerprint,
    )  # fmt: skip
    backend.create(address, manifest)
    return address


def fill(address, encoded=0, merge=True):
    writer = backend.open_writer(address)
    for part, vectors in ((ARTICLES[:encoded], True), (ARTICLES[encoded:], False)):
        if part:
            plan = writer.store.plan([prepare(item) for item in part])
            made = Model()([row.text for row in plan.to_encode]) if vectors else None
            writer.store.apply(plan, made)
    if merge:
        writer.merge()
    writer.close()


def answer(reader, model, question, keep=None, config=None, **options):
    engine = Engine(reader, model, config or Config(), keep)
    return engine.search([question], SearchOptions(fold=False, **options))[0], engine


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
@pytest.mark.parametrize("merge", [True, False], ids=["merged", "unmerged"])
def test_nothing_encoded_gives_the_answers_of_everything_encoded(new_index, place, mode, merge):
    fill(place, merge=merge)
    everything = new_index()
    backend.create(
        everything, Manifest(model="m", fingerprint="f", dimension=384, text_rule=TEXT_RULE, vectors="float32")
    )
    fill(everything, encoded=len(ARTICLES))
    for question in ("does aspirin prevent cancer of the bowel?", "sodium and hypertension"):
        with_all, _ = answer(reader := backend.open_reader(everything), Model(), question, mode=mode, limit=8)
        reader.close()
        hits, _ = answer(reader := backend.open_reader(place), model := Model(), question, mode=mode, limit=8)
        reader.close()
        assert len(model.encoded) == 64
        assert [hit.pmid for hit in hits] == [hit.pmid for hit in with_all]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in with_all], abs=5e-3)
        assert [hit.cosine for hit in hits] == pytest.approx([hit.cosine for hit in with_all], abs=5e-3)
        assert not any(hit.estimated for hit in hits)


def test_what_was_encoded_is_kept_and_encoded_once(place):
    fill(place)
    model, reader = Model(), backend.open_reader(place)

    def keep(hashes, vectors):
        writer = backend.open_writer(place)
        assert writer.store.put_vectors(hashes, vectors) == len(hashes)
        writer.close()

    first, engine = answer(reader, model, "aspirin", keep, limit=5)
    assert len(model.encoded) == 64 == len(set(model.encoded))
    with reader.view() as view:
        assert view.store.counts()["vectors"] == 64
        pmids, rows = view.store.vectors([first[0].pmid])
    assert rows[0] == pytest.approx(Model()([embedding_text(first[0].article)])[0], abs=1e-6)
    again, _ = answer(reader, model, "aspirin", keep, limit=5)
    assert [hit.pmid for hit in again] == [hit.pmid for hit in first]
    assert [hit.score for hit in again] == pytest.approx([hit.score for hit in first], abs=1e-5)
    # Asked again it needs next to nothing: at most what comes up since all the best have their exact scores.
    assert len(model.encoded) == len(set(model.encoded)) <= 64 + 6
    reader.close()


def test_in_memory_where_it_cannot_be_written(place):
    fill(place)
    model, reader = Model(), backend.open_reader(place)
    engine = Engine(reader, model)
    options = SearchOptions(fold=False, limit=3)
    first = engine.search(["wheat"], options)[0]
    number = len(model.encoded)
    assert [hit.score for hit in engine.search(["wheat"], options)[0]] == [hit.score for hit in first]
    assert len(model.encoded) - number <= len(ARTICLES) - number  # never one twice
    assert len(set(model.encoded)) == len(model.encoded)
    reader.close()


def test_budget_of_nought_ranks_by_estimates_and_says_so(place):
    fill(place)
    model, reader = Model(), backend.open_reader(place)
    hits, _ = answer(reader, model, "salt intake and blood pressure", config=Config(encode_on_demand=0), limit=10)
    assert model.encoded == [] and all(hit.estimated and hit.cosine is None for hit in hits)
    assert all(20 <= hit.pmid < 40 for hit in hits[:5]) and hits[0].added_words
    reader.close()


def test_a_time_limit_ends_encoding_early_and_the_answer_says_so(place, monkeypatch):
    fill(place)
    clock = [1000.0]
    # Of these modules alone: connections to a database have a clock too.
    for module in (on_demand, limits):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Slow(Model):
        def __call__(self, texts, kind="document"):
            clock[0] += 1.0 if kind == "document" else 0.0
            return super().__call__(texts, kind)

    reader, model = backend.open_reader(place), Slow()
    with time_limit(5):
        hits, _ = answer(reader, model, "aspirin", limit=60)
    exact = [hit for hit in hits if not hit.estimated]
    # Two steps of 16 in the first half of five seconds, one in half of the three that are left.
    assert len(model.encoded) == 48 == len(exact)
    assert hits[:48] == exact
    assert [hit.score for hit in exact] == sorted((hit.score for hit in exact), reverse=True)
    assert [hit_record(hit).estimated for hit in (hits[0], hits[-1])] == [UNSET, True]
    reader.close()


def test_no_more_than_half_of_the_time_is_spent_on_waiting_for_another_question(place):
    fill(place)
    reader = backend.open_reader(place)
    engine = Engine(reader, model := Model())
    waits = []

    def acquire(blocking=True, timeout=-1):
        waits.append(timeout)
        return False

    engine.on_demand._lock = SimpleNamespace(acquire=acquire)
    with time_limit(60):
        hits = engine.search(["aspirin"], SearchOptions(limit=5))[0]
    assert model.encoded == [] and len(hits) == 5 and all(hit.estimated for hit in hits)
    assert 15 < waits[0] <= 30
    reader.close()


def test_filters_come_before_the_cut(place):
    fill(place)
    some = frozenset({3, 24, 45, 66})
    hits, _ = answer(backend.open_reader(place), model := Model(), "sleep", limit=10, filters=Filters(pmids=some))
    assert {hit.pmid for hit in hits} == some and len(model.encoded) == 4


@pytest.mark.parametrize("encoded", [10, 75])
def test_partly_encoded_lists_hold_both(place, encoded):
    fill(place, encoded=encoded)
    reader = backend.open_reader(place)
    hits, _ = answer(reader, Model(), "aspirin against cancer", limit=76)
    assert len(hits) == 76 and len({hit.pmid for hit in hits}) == 76
    assert [hit.rank for hit in hits] == list(range(1, 77))
    assert sum(hit.estimated for hit in hits) <= 12 and not any(hit.estimated for hit in hits[:60])
    reader.close()


def test_static_vectors_follow_articles(place):
    fill(place)
    writer = backend.open_writer(place)
    writer.store.delete([ARTICLES[0].pmid])
    changed = article(ARTICLES[1].pmid, "Penguins of the south", "They walk.", revised="2030-01-01")
    writer.store.apply(writer.store.plan([prepare(changed)]))
    for merged in (False, True):
        if merged:
            writer.merge()
        reader = backend.open_reader(place)
        with reader.view() as view:
            pmids, rows = view.store.static_vectors([ARTICLES[0].pmid, changed.pmid])
            question = builtin_static().documents([embedding_text(changed)]).astype(np.float32)
            question /= np.linalg.norm(question)
            ((nearest, cosines),) = view.static_nearest(question, 100)
        reader.close()
        assert pmids.tolist() == [changed.pmid] and rows[0] == pytest.approx(question[0], abs=1e-6)
        assert nearest[0] == changed.pmid and cosines[0] == pytest.approx(1, abs=1e-5)
        assert len(nearest) == len(ARTICLES) - 1
    writer.close()
    assert list(backend.verify(place)) == []


def test_negative_budget_is_refused():
    with pytest.raises(ConfigError, match="encode_on_demand"):
        config_from_dict({"encode_on_demand": -1})


@pytest.mark.parametrize("damage", ["DELETE FROM static_vectors WHERE pmid IN (3, 5)", "stray"])
def test_static_vectors_that_are_missing_or_strays_are_found_and_repaired(new_index, place, damage):
    fill(place)
    writer = backend.open_writer(place)
    with_all = dict(zip(*[part.tolist() for part in writer.store.static_vectors(range(1, 40))], strict=True))
    statement = "UPDATE static_vectors SET pmid = 4000000 WHERE pmid = 5" if damage == "stray" else damage
    writer.store.transact(lambda _: writer.store.executemany(statement, [()]))
    writer.close()
    problems = list(backend.verify(place))
    assert any("PMID 5: its static vector is missing or damaged; `search repair`" in text for text in problems)
    assert any("1 static vectors belong to no article" in text for text in problems) == (damage == "stray")
    assert backend.repair(place) == []
    assert list(backend.verify(place)) == []
    writer = backend.open_writer(place)
    assert dict(zip(*[part.tolist() for part in writer.store.static_vectors(range(1, 40))], strict=True)) == with_all
    assert len(writer.store.static_vectors([4000000])[0]) == 0
    writer.close()


def test_words_that_weigh_nothing_are_no_error():
    candidates = Candidates(
        cosines={1: 0.5}, estimates={2: 0.4}, bm25={1: 0.0, 2: 0.0}, semantic_ranks={}, lexical_ranks={}, head=set()
    )
    assert candidates.ordered(0.4) == [(1, 0.5), (2, 0.4)]
