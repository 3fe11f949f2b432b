"""Static vectors of any model: made from its tokens as soon as records are read, fitted once enough is encoded."""

from contextlib import closing

import numpy as np
import pytest
from helpers import WordEncoder, article, tokens_of

from search import api
from search.article import embedding_text
from search.config import Config
from search.errors import IndexCorruptError
from search.ingest import pipeline as ingest
from search.ingest import static_models
from search.ingest.static_models import fit_if_due, make_from_vocabulary
from search.retrieval.floor import measured
from search.storage import backend
from search.storage.copy import copy_index
from search.storage.folder.folder_reader import View
from search.storage.rows import prepare

WORDS = [f"w{number}" for number in range(60)]


def some_articles(first, count):
    random = np.random.default_rng(first)
    return [article(pmid, " ".join(random.choice(WORDS, 9))) for pmid in range(first, first + count)]


class Model(WordEncoder):
    """The word encoder: a text is the sum of its words, but a word alone is not quite what it is in a text."""

    tokens = tokens_of(WORDS)

    def encode(self, texts, kind="document"):
        # What all texts have in common, as models' vectors do.
        rows = super().encode(texts, kind) + 0.2
        alone = [row for row, text in enumerate(texts) if " " not in text]
        rows[alone] += 0.9 * rows[alone][:, ::-1]
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def store(address, articles):
    with closing(backend.open_writer(address)) as writer:
        writer.store.apply(writer.store.plan([prepare(item) for item in articles]))


def make(address, model=None):
    with closing(backend.open_writer(address)) as writer:
        return make_from_vocabulary(writer, lambda: model or Model())


def encode(address):
    with closing(backend.open_writer(address)) as writer:
        ingest.encode_stale(writer, Model())


def checked(address):
    """Return what makes static vectors, once it is seen that all in the index are of it and are found by it."""
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        static = view.store.static()
        there = list(view.store.articles())
        pmids, rows = view.store.static_vectors([item.pmid for item in there])
        expected = static.documents([embedding_text(item) for item in there]).astype(np.float32)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        row_of = {pmid: row for row, pmid in enumerate(pmids.tolist())}
        assert rows[[row_of[item.pmid] for item in there]] == pytest.approx(expected, abs=1e-6)
        ((best, scores),) = view.static_nearest(expected[:1], 3)
        assert sorted(scores, reverse=True) == pytest.approx(np.sort(expected @ expected[0])[::-1][:3], abs=1e-6)
        assert best[0] == there[0].pmid
    assert backend.verify(address) is not None and list(backend.verify(address)) == []
    return static


def another(static):
    """Return what else static vectors could be made with."""
    texts = [embedding_text(item) for item in some_articles(1, 90)]
    return static.fitted_to(texts, Model().encode(texts))


def similarity(static, items):
    """Return how well static vectors of articles order them for questions, by the model's own cosines: correlation."""
    model = Model()
    questions = model.encode([" ".join(WORDS[start : start + 3]) for start in range(0, 60, 3)])
    rows = static.documents([embedding_text(item) for item in items]).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    own = questions @ model.encode([embedding_text(item) for item in items]).T
    estimated = static.questions(questions) @ rows.T
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(own, estimated, strict=True)]))


def test_articles_are_found_by_meaning_before_any_is_encoded(address):
    store(address, some_articles(1, 64))
    # So few are candidates anyway.
    assert not make(address)
    store(address, some_articles(65, 36))
    assert make(address)
    static = checked(address)
    assert (static.articles, static.fitted) == (100, 0)
    assert 0.6 < similarity(static, some_articles(500, 80)) < 0.9
    # What comes later has static vectors at once, of the same kind.
    store(address, some_articles(101, 200))
    assert not make(address)
    assert checked(address).fingerprint == static.fingerprint


def test_made_again_when_the_index_has_grown(address, monkeypatch):
    store(address, some_articles(1, 70))
    assert make(address)
    new = [article(pmid, f"other{pmid % 30} w1") for pmid in range(200, 410)]
    store(address, new)

    class Wider(Model):
        tokens = tokens_of([*WORDS, *(f"other{number}" for number in range(30))])

    assert make(address, Wider())
    static = checked(address)
    assert static.articles == 280
    assert np.abs(static.documents(["other7", "other8"]).astype(int)).max(axis=1).tolist() == [127, 127]


def test_fitted_once_as_encoding_passes_the_number(address, monkeypatch):
    monkeypatch.setattr(static_models, "FITTED_FROM", 120)
    monkeypatch.setattr(ingest, "BATCH", 40)
    items = some_articles(1, 150)
    store(address, items)
    make(address)
    before = checked(address)
    encode(address)
    static = checked(address)
    # The third batch passes it; what comes after that changes nothing more.
    assert (static.fitted, static.fingerprint == before.fingerprint) == (120, False)
    others = some_articles(900, 80)
    assert similarity(static, others) > similarity(before, others)
    store(address, some_articles(300, 400))
    assert not make(address)
    with closing(backend.open_writer(address)) as writer:
        assert not fit_if_due(writer, 5000)
    assert checked(address).fingerprint == static.fingerprint


def test_fitted_by_the_next_run_where_one_ended_just_before_it(address, monkeypatch):
    store(address, some_articles(1, 100))
    make(address)
    encode(address)
    assert checked(address).fitted == 0
    monkeypatch.setattr(static_models, "FITTED_FROM", 100)
    encode(address)
    assert checked(address).fitted == 100


def test_an_index_that_is_encoded_already_gets_fitted_ones_at_once(address, monkeypatch):
    monkeypatch.setattr(static_models, "FITTED_FROM", 100)
    store(address, some_articles(1, 120))
    encode(address)
    # Nothing waits, so nothing is due.
    assert not make(address)
    store(address, some_articles(200, 10))
    assert make(address)
    assert checked(address).fitted == 120


def test_a_run_that_ends_in_the_middle_leaves_all_as_it_was(address):
    store(address, some_articles(1, 600))
    make(address)
    before = checked(address)
    other = another(before)

    def stop(share):
        raise KeyboardInterrupt

    writer = backend.open_writer(address)
    with pytest.raises(KeyboardInterrupt):
        writer.store.put_static(other, stop)
    writer.close(wait=False)
    assert checked(address).fingerprint == before.fingerprint


def test_a_view_has_rows_and_what_they_are_made_with_of_one_state(address):
    store(address, some_articles(1, 100))
    make(address)
    before = checked(address)
    other = another(before)
    with closing(backend.open_reader(address)) as reader:
        with closing(backend.open_writer(address)) as writer:
            # Not merged: the search indexes have rows of the one before.
            writer.store.put_static(other)
        text = embedding_text(some_articles(1, 100)[4])
        with reader.view() as view:
            assert view.store.static().fingerprint == other.fingerprint
            if isinstance(view, View):
                # What segments have is no longer true.
                assert view.static_search.unmerged.changed(view.store).tolist() == view.store.pmids().tolist()
            row = other.documents([text]).astype(np.float32)
            ((best, scores),) = view.static_nearest(row / np.linalg.norm(row), 100)
            pmids, rows = view.store.static_vectors(best.tolist())
            assert len(best) == 100 and scores.max() == pytest.approx(1, abs=1e-6)
            order = {pmid: at for at, pmid in enumerate(pmids.tolist())}
            assert scores == pytest.approx((rows @ row[0] / np.linalg.norm(row))[[order[p] for p in best.tolist()]])
    with closing(backend.open_writer(address)) as writer:
        writer.merge()
    assert checked(address).fingerprint == other.fingerprint


def test_a_writer_that_was_open_before_writes_with_the_new_ones(address):
    store(address, some_articles(1, 100))
    make(address)
    known = checked(address)
    other = another(known)
    writer = backend.open_writer(address)
    second = backend.open_writer(address) if writer.store.SEVERAL_WRITERS else writer
    writer.store.apply(writer.store.plan([prepare(item) for item in some_articles(200, 5)]))
    second.store.put_static(other)
    writer.store.apply(writer.store.plan([prepare(item) for item in some_articles(300, 5)]))
    writer.merge()
    for some in {writer, second}:
        some.close()
    assert checked(address).fingerprint == other.fingerprint


@pytest.mark.parametrize("damage", ["DELETE FROM static_models", "UPDATE static_models SET content = ?"])
def test_a_damaged_one_is_dropped_by_repair_and_made_again(address, damage, monkeypatch):
    store(address, some_articles(1, 100))
    make(address)
    known = checked(address)
    monkeypatch.setattr("search.models.static_vectors._kept", {})
    with closing(backend.open_writer(address)) as writer:
        content = bytearray(known.content())
        content[-5000] ^= 1
        parameters = [(bytes(content),)] if "?" in damage else [()]
        writer.store.transact(lambda _: writer.store.executemany(damage, parameters))
    (problem,) = backend.verify(address)
    assert "static model" in problem and "`search repair` removes it" in problem
    with (
        closing(backend.open_reader(address)) as reader,
        reader.view() as view,
        pytest.raises(IndexCorruptError, match="search repair"),
    ):
        view.store.static()
    assert backend.repair(address) == []
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert view.store.static() is None
        assert view.store.one("SELECT count(*) FROM static_vectors") == 0
    assert make(address)
    assert checked(address).fingerprint == known.fingerprint


def test_a_model_whose_files_do_not_tell_its_tokens(address):
    class Without(Model):
        tokens = None

    store(address, some_articles(1, 100))
    assert not make(address, Without())
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert view.store.static() is None


def test_status_says_which_kind_there_is_and_making_an_index_that_there_can_be_none(tmp_path, monkeypatch):
    model = Model()
    monkeypatch.setattr(api, "_load_encoder", lambda *_, **__: model)
    monkeypatch.setattr(static_models, "FITTED_FROM", 90)
    with api.Index.create(tmp_path / "one", model="words") as index:
        assert (index.status().static_vectors, index.status().model_notes) == ("none", [])
        index.add(some_articles(1, 80), encode=False)
        assert index.status().static_vectors == "from the model's vectors of the tokens of 80 articles"
        assert not [text for text in model.encoded if " " in text]
        index.add(some_articles(81, 20))
        index.encode()
        assert index.status().static_vectors == "fitted to the vectors of 100 articles"
    model.tokens = None
    with api.Index.create(tmp_path / "two", model="words") as index:
        index.add(some_articles(1, 80), encode=False)
        assert index.status().static_vectors == "none"
        assert index.status().model_notes == [api._WITHOUT_TOKENS]
    with api.Index.create(tmp_path / "three", model="builtin") as index:
        assert index.manifest.model_notes == ()
        assert index.status().static_vectors == "fitted to the vectors of 31,108 articles"


def test_a_copy_has_them_too(address, new_index):
    store(address, some_articles(1, 100))
    make(address)
    target = new_index()
    with closing(backend.open_reader(address)) as source:
        copy_index(source, target, Config())
    assert checked(target).fingerprint == checked(address).fingerprint


def test_an_index_made_before_there_was_the_table(address):
    store(address, some_articles(1, 100))
    with closing(backend.open_writer(address)) as writer:
        list(writer.store.rows("DROP TABLE static_models"))
    assert make(address)
    assert checked(address).articles == 100


def test_nothing_is_said_to_be_far_from_a_question_by_rows_that_are_not_fitted(address, monkeypatch):
    store(address, some_articles(1, 250))
    make(address)
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert measured(view) is None
    with closing(backend.open_writer(address)) as writer:
        writer.store.put_static(another(writer.store.static()))
    with closing(backend.open_reader(address)) as reader, reader.view() as view:
        assert measured(view).static
