"""How batches of records follow each other: one is written while the next is encoded."""

import json
import threading

import pytest
from helpers import WordEncoder, article, words_manifest

from search import api
from search.files import digest
from search.ingest import pipeline as ingest
from search.ingest.pipeline import add_articles
from search.storage import backend

#: Longer than any of these waits takes; only a failing test waits so long.
_LONG = 20


@pytest.fixture
def writer(address, monkeypatch):
    """The writer of an empty index, where two records are a batch."""
    monkeypatch.setattr(ingest, "BATCH", 2)
    writer = backend.open_writer(address)
    yield writer
    writer.close()


def texts_of(writer):
    """Return the titles that the store has, by PMID."""
    return {pmid: found.title for pmid, found in writer.store.get_many(range(1, 50)).items()}


def test_a_batch_is_written_while_the_next_is_encoded(writer, monkeypatch):
    encoding = threading.Event()
    waited = []
    real = writer.store.apply

    def apply(plan, vectors=None):
        # The last batch has none after it.
        if len(waited) < 2:
            waited.append(encoding.wait(_LONG))
            encoding.clear()
        return real(plan, vectors)

    class Encoder(WordEncoder):
        def encode(self, texts, kind="document"):
            if self.encoded:
                encoding.set()
            return super().encode(texts, kind)

    monkeypatch.setattr(writer.store, "apply", apply)
    report = add_articles(writer, Encoder(), [article(pmid) for pmid in range(1, 7)])
    assert waited == [True, True]
    assert report.counts == {"added": 6}
    assert sorted(writer.store.vectors(range(1, 7))[0]) == [1, 2, 3, 4, 5, 6]


def test_a_revision_in_the_next_batch_is_planned_after_what_it_revises(writer):
    encoder = WordEncoder()
    stream = [
        article(1, "first", revised="2020-01-01"),
        article(2, "second"),
        article(1, "first again", revised="2021-01-01"),
        article(3, "third"),
        article(1, "first before", revised="2020-06-01"),
        article(4, "fourth"),
    ]
    report = add_articles(writer, encoder, stream)
    assert report.counts == {"added": 4, "replaced": 1, "older than what is held": 1}
    assert texts_of(writer) == {1: "first again", 2: "second", 3: "third", 4: "fourth"}
    pmids, vectors = writer.store.vectors([1])
    assert vectors[0] @ encoder.encode(["first again"])[0] == pytest.approx(1, abs=1e-2)


def test_stopped_while_encoding_what_was_encoded_before_is_kept(writer):
    class Stopped(WordEncoder):
        def encode(self, texts, kind="document"):
            if len(self.encoded) >= 4:
                raise KeyboardInterrupt
            return super().encode(texts, kind)

    with pytest.raises(KeyboardInterrupt):
        add_articles(writer, Stopped(), [article(pmid) for pmid in range(1, 9)])
    assert sorted(texts_of(writer)) == [1, 2, 3, 4]


def test_stopped_while_reading_what_was_encoded_is_kept(writer):
    def stream():
        yield from (article(pmid) for pmid in range(1, 5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_articles(writer, WordEncoder(), stream())
    assert sorted(texts_of(writer)) == [1, 2, 3, 4]


def test_a_failed_write_ends_the_run_and_is_told(writer, monkeypatch):
    real, failed = writer.store.apply, []

    def apply(plan, vectors=None):
        if 3 in plan.rows:
            failed.append(sorted(plan.rows))
            raise OSError("no space left")
        return real(plan, vectors)

    monkeypatch.setattr(writer.store, "apply", apply)
    with pytest.raises(OSError, match="no space left"):
        add_articles(writer, WordEncoder(), [article(pmid) for pmid in range(1, 9)])
    assert failed == [[3, 4]]
    assert sorted(texts_of(writer)) == [1, 2]


def test_what_a_run_added_is_merged_at_its_end(folder):
    writer = backend.open_writer(folder)
    assert not add_articles(writer, WordEncoder(), [article(pmid) for pmid in range(1, 9)]).merged
    assert add_articles(writer, WordEncoder(), [article(pmid) for pmid in range(9, 109)]).merged
    writer.close()
    reader = backend.open_reader(folder)
    with reader.view() as view:
        assert (view.unmerged(), view.manifest.generation) == (0, 1)
    reader.close()


def test_what_a_run_that_was_cut_off_stored_is_encoded_by_the_next(tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: encoder)
    backend.create(tmp_path / "index", words_manifest(encoder))
    lines = [json.dumps({"pmid": pmid, "title": f"word{pmid} of these"}) for pmid in range(1, 6)]
    (tmp_path / "records.jsonl").write_text("\n".join(lines))
    with api.Index.open(tmp_path / "index") as index:
        index.add([article(pmid, "stored before") for pmid in (101, 102)], encode=False)
        # As after a kill: some of the file is stored, and the ledger says that it was begun.
        with index._writing() as writer:
            ingest.add_articles(writer, None, [article(1, "word1 of these")])
            writer.store.begin_file(str(tmp_path / "records.jsonl"), digest(tmp_path / "records.jsonl", "sha256"))
        assert index.add(tmp_path / "records.jsonl").counts["added"] == 4
        assert index.status().stale == 0
        index.add([article(103, "stored and left")], encode=False)
        index.add(article(104, "encoded alone"))
        assert index.status().stale == 1
