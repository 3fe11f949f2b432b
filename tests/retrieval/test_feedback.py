"""Feedback: the first answers of the hybrid ranking move the question's vector and lend it words."""

from collections import Counter

import numpy as np
import pytest
from helpers import article, put

from search import Index
from search.config import Config
from search.retrieval.engine import Engine
from search.retrieval.filters import Filters
from search.retrieval.request import SearchOptions
from search.storage import backend
from search.storage.bm25 import field_words, lexical_text, question_terms, question_words, words

WORDS = ["aspirin", "heart", "bowel", "cancer", "sleep", "zebra", "kidney", "stroke", "children", "trial"]


@pytest.fixture
def filled(address, encoder):
    random = np.random.default_rng(11)
    texts = [" ".join(random.choice(WORDS, random.integers(2, 12))) + f" only{n}" for n in range(60)]
    articles = [article(n, text, f"about {texts[-n]}") for n, text in enumerate(texts, start=1)]
    put(address, encoder, *articles[:40], merge=True)
    put(address, encoder, *articles[40:])
    with_reader = backend.open_reader(address)
    yield with_reader, {item.pmid: item for item in articles}
    with_reader.close()


def unit(vector):
    return vector / np.linalg.norm(vector)


def by_the_formulas(view, encoder, articles, question):
    """The moved vector, the terms after feedback and what was added, computed from all articles at once."""
    pmids, vectors = view.store.vectors(articles)
    row = {pmid: place for place, pmid in enumerate(pmids.tolist())}
    asked = encoder.encode([question])[0]
    terms = dict(question_terms(question))
    bm25 = view.bm25_scores(terms, pmids)
    fused = {pmid: float(vectors[row[pmid]] @ asked) + 0.4 * bm25.get(pmid, 0) / max(bm25.values()) for pmid in row}
    ten = sorted(fused, key=lambda pmid: (-fused[pmid], -pmid))[:10]
    weights = np.exp((np.array([fused[pmid] for pmid in ten]) - fused[ten[0]]) / 0.05)
    weights /= weights.sum()
    moved = unit(asked + 0.6 * unit(weights @ np.stack([vectors[row[pmid]] for pmid in ten])))
    shares = Counter()
    for pmid, weight in zip(ten, weights, strict=True):
        counts = Counter(words(lexical_text(articles[pmid])))
        shares.update({word: weight * times / counts.total() for word, times in counts.items()})
    rarity = view.idf(shares)
    best = sorted(shares, key=lambda word: (-shares[word] * rarity[word], word))[:20]
    total = sum(shares[word] * rarity[word] for word in best)
    for word in best:
        value = 0.5 * len(question_words(question)) * shares[word] * rarity[word] / total
        terms["text", word] = terms.get(("text", word), 0) + value
    return dict(zip(row, vectors[list(row.values())] @ moved, strict=True)), terms, best


@pytest.mark.parametrize("question", ["aspirin for the heart", "zebra", "which kidney trial with children"])
def test_ranked_by_the_question_that_has_learned(filled, encoder, question):
    reader, articles = filled
    with reader.view() as view:
        cosines, terms, best = by_the_formulas(view, encoder, articles, question)
        bm25 = view.bm25_scores(terms, np.array(sorted(articles)))
    expected = {
        "semantic": cosines,
        "hybrid": {pmid: value + 0.5 * bm25.get(pmid, 0) / max(bm25.values()) for pmid, value in cosines.items()},
    }
    asked = encoder.encode([question])[0]
    for mode, scores in expected.items():
        hits = Engine(reader, encoder.encode).search([question], SearchOptions(mode=mode, limit=8, fold=False))[0]
        assert [hit.score for hit in hits] == pytest.approx(sorted(scores.values(), reverse=True)[:8], abs=2e-3)
        assert all(hit.score == pytest.approx(scores[hit.pmid], abs=2e-3) for hit in hits)
        assert set(hits[0].added_words) == set(best) - set(question_words(question))
        for hit in hits:
            with reader.view() as view:
                _, rows = view.store.vectors([hit.pmid])
            assert hit.asked_cosine == pytest.approx(float(rows[0] @ asked), abs=1e-5)


def test_switched_off_by_config_or_request(filled, encoder):
    reader, _ = filled
    without = SearchOptions(mode="hybrid", feedback=False)
    plain = Engine(reader, encoder.encode).search(["zebra heart"], without)[0]
    assert plain[0].added_words == () and plain[0].asked_cosine is None
    by_config = Engine(reader, encoder.encode, Config(feedback=False)).search(
        ["zebra heart"], SearchOptions(mode="hybrid")
    )
    assert [(hit.pmid, hit.score) for hit in by_config[0]] == [(hit.pmid, hit.score) for hit in plain]
    learned = Engine(reader, encoder.encode).search(["zebra heart"], SearchOptions(mode="hybrid"))[0]
    assert [hit.score for hit in learned] != [hit.score for hit in plain]


def test_lexical_mode_does_not_learn(filled, encoder):
    reader, _ = filled
    hits = Engine(reader, encoder.encode).search(["zebra"], SearchOptions(mode="lexical"))[0]
    assert hits and hits[0].added_words == () and all("zebra" in field_words(hit.article)["text"] for hit in hits)


def test_only_what_passes_the_filters_teaches(filled, encoder):
    reader, articles = filled
    some = frozenset(range(1, 60, 4))
    options = SearchOptions(mode="semantic", limit=5, fold=False, filters=Filters(pmids=some))
    hits = Engine(reader, encoder.encode).search(["aspirin heart"], options)[0]
    with reader.view() as view:
        passing = {pmid: articles[pmid] for pmid in some}
        # The most BM25 is that of what passes, so all is computed from these alone.
        cosines, _, best = by_the_formulas(view, encoder, passing, "aspirin heart")
    assert set(hits[0].added_words) == set(best) - {"aspirin", "heart"}
    assert [hit.score for hit in hits] == pytest.approx(sorted(cosines.values(), reverse=True)[:5], abs=2e-3)


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
def test_an_article_is_found_by_its_title_no_later_with_feedback(built_demo, mode):
    with Index.open(built_demo) as index:
        articles = [found for found in index.articles() if len(found.title) > 20][::4]
        titles = [found.title for found in articles]
        reciprocal = {}
        for feedback in (False, True):
            answers = index.search(titles, 20, mode=mode, feedback=feedback, fold=False)
            ranks = [
                next((hit.rank for hit in hits if hit.pmid == own.pmid), np.inf)
                for hits, own in zip(answers, articles, strict=True)
            ]
            reciprocal[feedback] = np.mean([1 / rank for rank in ranks])
    assert len(articles) > 40
    assert reciprocal[True] >= reciprocal[False] > 0.9
