"""An index against a plain dictionary: whatever is done in whatever order, both hold and find the same.

SEARCH_FAULT_EXAMPLES=500 tries more histories than usual.
"""

import os
import shutil
import tempfile
from datetime import date
from pathlib import Path

import pytest
from helpers import WordEncoder, article
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from search import api
from search.article import Deletion
from search.ingest.pipeline import add_articles
from search.storage.bm25 import words
from search.storage.folder import faiss_index as ann
from search.storage.folder import folder_writer as writer
from search.storage.folder import segments

PMIDS = st.integers(1, 25)
WORDS = st.sampled_from(["aspirin", "bowel", "cancer", "heart", "sleep", "trial", "zebra"])
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
DAYS = st.dates(date(2020, 1, 1), date(2020, 1, 4))


class IndexAgainstDictionary(RuleBasedStateMachine):
    """`held` is what the index should hold: (title, day of revision) by PMID; `gone` what was deleted."""

    questions = Bundle("questions")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.encoder = WordEncoder()
        self.index = api.Index.create(self.folder / "index", model="words")
        self.held, self.gone = {}, set()

    def teardown(self):
        problems = api.Index.verify(self.folder / "index")
        self.index.close()
        shutil.rmtree(self.folder)
        assert problems == []

    @initialize(target=questions)
    def first_question(self):
        return "aspirin cancer"

    @rule(target=questions, text=TEXTS)
    def think_of(self, text):
        return text

    def _put(self, pmid, text, day, *, restore=False):
        if pmid in self.gone and not restore:
            return
        self.gone.discard(pmid)
        if pmid not in self.held or day >= self.held[pmid][1]:
            self.held[pmid] = (text, day)

    @rule(batch=st.lists(st.tuples(PMIDS, TEXTS, DAYS), min_size=1, max_size=8))
    def add(self, batch):
        self.index.add([article(pmid, text, revised=str(day)) for pmid, text, day in batch])
        for pmid, text, day in batch:
            self._put(pmid, text, day)

    @rule(pmid=PMIDS, text=TEXTS, day=DAYS)
    def restore(self, pmid, text, day):
        with self.index._writing() as opened:
            add_articles(opened, self.encoder, [article(pmid, text, revised=str(day))], restore=True)
        self._put(pmid, text, day, restore=True)

    @rule(pmid=PMIDS, text=TEXTS, day=DAYS)
    def add_and_delete_in_one_batch(self, pmid, text, day):
        self.index.add([article(pmid, text, revised=str(day)), Deletion(pmid)])
        self.held.pop(pmid, None)
        self.gone.add(pmid)

    @rule(pmids=st.sets(PMIDS, max_size=5))
    def delete(self, pmids):
        there = pmids & self.held.keys()
        assert self.index.delete(pmids) == len(there)
        for pmid in there:
            del self.held[pmid]
        self.gone |= there

    @rule()
    def merge(self):
        self.index.merge()

    @rule(repair=st.booleans())
    def reopen(self, repair):
        self.index.close()
        if repair:
            api.Index.repair(self.folder / "index")
        self.index = api.Index.open(self.folder / "index")

    @rule(question=questions, limit=st.integers(1, 30))
    def search_by_meaning(self, question, limit):
        hits = self.index.search(question, limit, fold=False, feedback=False)
        asked = self.encoder.encode([question])[0]
        scores = {pmid: float(self.encoder.encode([text])[0] @ asked) for pmid, (text, _) in self.held.items()}
        best = sorted(scores.values(), reverse=True)[:limit]
        # Stored vectors are rounded: the order of what is nearly equal is not told apart.
        assert [hit.score for hit in hits] == pytest.approx(best, abs=2e-3)
        assert all(hit.score == pytest.approx(scores[hit.pmid], abs=2e-3) for hit in hits)
        assert len({hit.pmid for hit in hits}) == len(hits)

    @rule(question=questions, mode=st.sampled_from(["lexical", "hybrid"]))
    def search_by_words(self, question, mode):
        found = {hit.pmid: hit.article.title for hit in self.index.search(question, 30, mode=mode, fold=False)}
        titles = {pmid: text for pmid, (text, _) in self.held.items()}
        sharing = {pmid: text for pmid, text in titles.items() if set(words(question)) & set(words(text))}
        if mode == "lexical":
            assert found == sharing
        else:
            assert sharing.items() <= found.items() <= titles.items()

    @invariant()
    def holds_the_same(self):
        assert {found.pmid: found.title for found in self.index.articles()} == {
            pmid: text for pmid, (text, _) in self.held.items()
        }
        status = self.index.status()
        assert (status.articles, status.deleted, status.stale) == (len(self.held), len(self.gone), 0)


@pytest.mark.parametrize(
    ("merge_at", "small", "exact"), [(5000, 20_000, 50_000), (3, 0, 50_000), (12, 20_000, 20)], ids=str
)
def test_an_index_is_a_dictionary_that_can_be_searched(monkeypatch, merge_at, small, exact):
    monkeypatch.setattr(api, "_load_encoder", lambda model, config, **_: WordEncoder())
    monkeypatch.setattr(writer, "_MERGE_AT", merge_at)
    monkeypatch.setattr(segments, "_SMALL", small)
    monkeypatch.setattr(ann, "EXACT_UP_TO", exact)
    chosen = settings(
        max_examples=int(os.environ.get("SEARCH_FAULT_EXAMPLES", "3")),
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(IndexAgainstDictionary, settings=chosen)
