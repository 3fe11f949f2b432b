"""Whatever the filters and the mode, the best that pass are found: equal to comparing every article."""

from datetime import datetime, timezone

import msgspec
import numpy as np
import pytest
from filter_strategies import filters_strategy, small_articles
from helpers import WordEncoder, article, put, words_manifest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import search.retrieval.ranking as ranking_module
from search.article import Correction, PartialDate, PublicationType
from search.config import Config
from search.errors import QueryError
from search.retrieval.engine import Engine, reranked
from search.retrieval.evidence import UNRELATED
from search.retrieval.filters import Filters
from search.retrieval.fusion import fuse
from search.retrieval.request import SearchOptions
from search.storage import backend
from search.storage.bm25 import question_terms

WORDS = ["aspirin", "heart", "bowel", "cancer", "sleep", "zebra", "kidney", "stroke", "children", "trial"]


@pytest.fixture
def reader(address):
    opened = []

    def _reader():
        opened.append(backend.open_reader(address))
        return opened[-1]

    yield _reader
    for one in opened:
        one.close()


def search(reader, encoder, question, limit=10, mode="semantic", filters=None, fold=False, **options):
    """Search without feedback, which `test_feedback` is about."""
    given = {"feedback": False, **options}
    options = SearchOptions(limit=limit, mode=mode, filters=filters or Filters(), fold=fold, **given)
    return Engine(reader(), encoder.encode).search([question], options)[0]


def everything(reader, encoder, text):
    """The cosine and the BM25 of every article, each asked for by itself."""
    with reader().view() as view:
        pmids, vectors = view.store.vectors(view.store.pmids().tolist())
        cosines = dict(zip(pmids.tolist(), (vectors @ encoder.encode([text])[0]).tolist(), strict=True))
        return cosines, view.bm25_scores(question_terms(text), pmids), view.store.get_many(pmids.tolist())


def fused_candidates(cosines, bm25, passing, depth):
    """The fused scores of the best `depth` by cosine and the best `depth` by BM25, each with both of its scores."""
    candidates = set()
    for scores in (cosines, bm25):
        best = sorted(passing & scores.keys(), key=lambda pmid: (-scores[pmid], -pmid))
        candidates |= set(best[:depth])
    return dict(fuse({p: cosines[p] for p in candidates}, {p: bm25[p] for p in candidates if p in bm25}))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.lists(st.tuples(small_articles, st.lists(st.sampled_from(WORDS), min_size=3, max_size=8)), max_size=25),
    many=st.lists(filters_strategy, min_size=4, max_size=4),
    question=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join),
    merged=st.integers(0, 25),
    mode=st.sampled_from(["semantic", "lexical", "hybrid"]),
    depth=st.sampled_from([3, 200]),
)
def test_the_true_best_are_found_under_any_filter(
    new_index, encoder, monkeypatch, data, many, question, merged, mode, depth
):
    monkeypatch.setattr(ranking_module, "FUSION_DEPTH", depth)
    address = new_index()
    backend.create(address, words_manifest(encoder, vectors="float32"))
    articles = [
        msgspec.structs.replace(found, pmid=pmid, title=" ".join(words) + f" only{pmid}")
        for pmid, (found, words) in enumerate(data, start=1)
    ]
    put(address, encoder, *articles[:merged], merge=True)
    put(address, encoder, *articles[merged:])
    opened = backend.open_reader(address)
    cosines, bm25, _ = everything(lambda: opened, encoder, question)
    today = datetime.now(timezone.utc).date()
    for filters in (*many, Filters()):
        passing = {found.pmid for found in articles if filters.matches(found, today)}
        scores = {
            "semantic": {pmid: cosines[pmid] for pmid in passing},
            "lexical": {pmid: bm25[pmid] for pmid in passing if pmid in bm25},
            "hybrid": fused_candidates(cosines, bm25, passing, depth),
        }[mode]
        hits = search(lambda: opened, encoder, question, 3, mode, filters)
        assert len(hits) == min(3, len(scores))
        assert [hit.score for hit in hits] == pytest.approx(sorted(scores.values(), reverse=True)[:3], abs=1e-5)
        assert all(hit.score == pytest.approx(scores[hit.pmid], abs=1e-5) for hit in hits)
    opened.close()


def test_candidates_of_one_list_get_their_score_in_the_other(address, reader, encoder, monkeypatch):
    monkeypatch.setattr(ranking_module, "FUSION_DEPTH", 3)
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(WORDS, random.integers(2, 12))) + f" only{n}" for n in range(120)]
    put(address, encoder, *[article(n, text) for n, text in enumerate(texts, start=1)], merge=True)
    topped_up = set()
    for question in ("aspirin zebra", "heart trial sleep", "kidney", "stroke children cancer bowel"):
        cosines, bm25, _ = everything(reader, encoder, question)
        scores = fused_candidates(cosines, bm25, set(cosines), 3)
        hits = search(reader, encoder, question, 3, "hybrid")
        assert [hit.score for hit in hits] == pytest.approx(sorted(scores.values(), reverse=True)[:3], abs=1e-5)
        for hit in hits:
            assert hit.cosine == pytest.approx(cosines[hit.pmid], abs=1e-5)
            assert hit.bm25 == pytest.approx(bm25.get(hit.pmid), abs=1e-5)
            topped_up |= {"cosine"} if hit.semantic_rank is None else set()
            topped_up |= {"bm25"} if hit.lexical_rank is None else set()
    assert topped_up == {"cosine", "bm25"}


def test_ranks_scores_and_where_a_hit_came_from(address, reader, encoder):
    put(address, encoder, article(1, "aspirin heart"), article(2, "aspirin"), article(3, "sleep"), merge=True)
    hits = search(reader, encoder, "aspirin", mode="hybrid")
    assert [(hit.rank, hit.pmid) for hit in hits] == [(1, 2), (2, 1), (3, 3)]
    assert (hits[0].semantic_rank, hits[0].lexical_rank) == (1, 1)
    assert hits[0].score == pytest.approx(hits[0].cosine + 0.4)
    assert (hits[2].bm25, hits[2].lexical_rank) == (None, None)


def test_tags_and_filters_restrict_together(address, reader, encoder):
    for pmid in range(1, 9):
        put(address, encoder, article(pmid, f"aspirin {pmid}", publication_date=PartialDate(year=2000 + pmid)))
    hits = search(reader, encoder, "aspirin 2003:2006[dp]", filters=Filters(not_pmids=frozenset({4})))
    assert sorted(hit.pmid for hit in hits) == [3, 5, 6]


def test_a_question_of_tags_alone_gives_the_newest(address, reader, encoder):
    for pmid in range(1, 9):
        put(address, encoder, article(pmid, f"aspirin {pmid}", publication_date=PartialDate(year=2020 - pmid)))
    assert [hit.pmid for hit in search(reader, encoder, "2013:2016[dp]", 3)] == [4, 5, 6]


def test_several_questions_keep_their_order_whatever_their_filters(address, reader, encoder):
    put(address, encoder, *[article(n, f"{word} text", publication_date=PartialDate(year=2000 + n))
                           for n, word in enumerate(WORDS, start=1)])  # fmt: skip
    texts = ["aspirin", "zebra 2000:2010[dp]", "2003[dp]", "kidney 2000:2010[dp]", "sleep"]
    answers = Engine(reader(), encoder.encode).search(texts, SearchOptions(limit=1, fold=False))
    assert [hits[0].pmid for hits in answers] == [1, 6, 3, 7, 5]


def test_duplicates_are_folded_and_as_many_come_back(address, reader, encoder):
    twins = [article(pmid, "Aspirin for the prevention of stroke in adults", doi="10.1/X") for pmid in (1, 2)]
    put(address, encoder, *twins, *[article(pmid, f"aspirin stroke {pmid}") for pmid in range(3, 8)])
    hits = search(reader, encoder, "aspirin for the prevention of stroke", 4, fold=True)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert (hits[0].pmid, [(other.pmid, other.reason) for other in hits[0].duplicates]) == (2, [(1, "same DOI")])
    assert len(search(reader, encoder, "aspirin for the prevention of stroke", 4, fold=False)) == 4


def test_evidence_is_in_the_abstract_and_nearest_first(address, reader, encoder):
    abstract = "We studied many patients in Norway. The drug aspirin prevents bowel cancer. Nothing else was seen."
    put(address, encoder, article(1, "A trial", abstract))
    hits = search(reader, encoder, "aspirin prevents bowel cancer", evidence=2)
    first, second = hits[0].evidence
    assert first.text == "The drug aspirin prevents bowel cancer." == abstract[first.start : first.end]
    assert first.score > second.score


def test_a_revision_moves_an_article_out_of_a_filter_that_was_asked_before(address, reader, encoder):
    put(address, encoder, article(1, "aspirin", publication_types=(PublicationType("Review"),)))
    engine = Engine(reader(), encoder.encode)
    options = SearchOptions(filters=Filters(publication_types=("review",)))
    for expected in ([1], []):
        hits = engine.search(["aspirin"], options)[0]
        assert [hit.pmid for hit in hits] == expected
        put(
            address,
            encoder,
            article(1, "aspirin", publication_types=(PublicationType("Letter"),), revised="2024-01-01"),
        )


def test_retraction_by_a_later_revision_is_marked(address, reader, encoder):
    put(address, encoder, article(1, "aspirin", "Text."))
    notice = Correction("RetractionIn", "Lancet. 2020", 99)
    put(address, encoder, article(1, "aspirin", "Text.", revised="2021-01-01", corrections=(notice,)))
    hit = search(reader, encoder, "aspirin")[0]
    assert hit.article.is_retracted and hit.article.notices[0].pmid == 99
    assert search(reader, encoder, "aspirin", filters=Filters(not_retracted=True)) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_no_results_cannot_be_asked_for(address, reader, encoder, limit):
    put(address, encoder, article(1, "aspirin"))
    with pytest.raises(QueryError, match="at least 1"):
        search(reader, encoder, "aspirin", limit)


def test_vectors_are_compared_as_they_are_stored(address, reader, encoder):
    put(address, encoder, *[article(n, f"{WORDS[n % 10]} {n}") for n in range(1, 40)], merge=True)
    vector = encoder.encode(["aspirin heart"])
    hits = search(reader, encoder, "aspirin heart")
    with reader().view() as view:
        pmids, stored = view.store.vectors([hit.pmid for hit in hits])
    expected = dict(zip(pmids.tolist(), (stored @ vector[0]).tolist(), strict=True))
    assert all(hit.score == pytest.approx(expected[hit.pmid], abs=1e-6) for hit in hits)
    assert np.abs(stored - stored.astype(np.float16)).max() == 0


def test_a_second_stage_puts_the_first_in_its_own_order(address, reader, encoder):
    put(address, encoder, *[article(n, f"aspirin {WORDS[n]}") for n in range(1, 6)])
    hits = search(reader, encoder, "aspirin")
    asked = []

    def score(question, texts):
        asked.append((question, texts))
        return np.array([len(text) for text in texts], np.float32)

    found = reranked(hits, "aspirin", score)
    assert asked == [("aspirin", [hit.article.title for hit in hits])]
    assert [hit.rank for hit in found] == [1, 2, 3, 4, 5]
    assert [hit.score for hit in found] == sorted((float(len(hit.article.title)) for hit in hits), reverse=True)
    assert found[0].cosine == next(hit.cosine for hit in hits if hit.pmid == found[0].pmid)


class KindsEncoder(WordEncoder):
    """Notes what is encoded as what."""

    def encode(self, texts, kind="document"):
        self.calls = [*getattr(self, "calls", []), (kind, list(texts))]
        return super().encode(texts, kind)


@pytest.mark.parametrize("mode", ["semantic", "lexical", "hybrid"])
def test_a_question_is_encoded_once_and_sentences_as_documents(address, reader, encoder, mode):
    put(address, encoder, article(1, "A trial", "The drug aspirin prevents bowel cancer. Nothing else was ever seen."))
    kinds = KindsEncoder()
    hits = search(reader, kinds, "aspirin", mode=mode, evidence=1)
    assert [part.text for part in hits[0].evidence] == ["The drug aspirin prevents bowel cancer."]
    assert kinds.calls == [
        ("query", ["aspirin"]),
        ("document", [*UNRELATED, "The drug aspirin prevents bowel cancer."]),
    ]


def test_offset_leaves_out_the_first_and_keeps_their_ranks(address, reader, encoder):
    put(address, encoder, *[article(n, f"aspirin {WORDS[n]}", "One sentence of five words.") for n in range(1, 8)])
    hits = search(reader, encoder, "aspirin", 5, evidence=1)
    kinds = KindsEncoder()
    rest = search(reader, kinds, "aspirin", 2, offset=3, evidence=1)
    assert rest == hits[3:5] and [hit.rank for hit in rest] == [4, 5]
    assert len(kinds.calls[1][1]) == len(UNRELATED) + 1


@pytest.mark.parametrize("given", [{"results": 3, "mode": "hybrid"}, {"results": 4, "mode": "lexical"}])
def test_what_a_request_leaves_open_is_as_the_config_says(address, reader, encoder, given):
    put(address, encoder, *[article(n, f"aspirin {n}") for n in range(1, 8)])
    engine = Engine(reader(), encoder.encode, Config(**given))
    hits = engine.search(["aspirin"])[0]
    assert len(hits) == given["results"]
    assert all(hit.bm25 is not None for hit in hits)
    assert (hits[0].cosine is None) == (given["mode"] == "lexical")
    assert engine.search(["aspirin"], SearchOptions(limit=1, mode="semantic"))[0][0].bm25 is None
