"""What is relevant: half of the best scores, whatever chooses among the results."""

from search.article import Article
from search.retrieval.filters import Filters
from search.retrieval.hit import Hit
from search.retrieval.relevance import least_relevant, relevant, unnarrowed


def hits(*scores):
    return [Hit(rank=place, score=score, article=Article(pmid=place)) for place, score in enumerate(scores, 1)]


def test_half_of_the_mean_of_the_best_five():
    found = hits(1.0, 0.8, 0.8, 0.7, 0.7, 0.5, 0.41, 0.39)
    least = least_relevant(found)
    assert least == 0.4
    assert [hit.pmid for hit in relevant(found, least)] == [1, 2, 3, 4, 5, 6, 7]


def test_without_scores_all_are_relevant():
    assert least_relevant([]) == 0.0
    assert len(relevant(hits(0.0, 0.0), least_relevant(hits(0.0, 0.0)))) == 2


def test_what_chooses_among_results_does_not_change_what_is_relevant():
    chosen = Filters(
        year_from=2000, publication_types=("Review",), strategy="aspirin", not_retracted=True, pmids=frozenset({3})
    )
    assert unnarrowed(chosen) == Filters(strategy="aspirin", pmids=frozenset({3}))
