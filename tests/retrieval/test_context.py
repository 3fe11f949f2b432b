"""What a language model is given: whole sentences with their sources, in a budget, with every warning."""

import pytest
from helpers import article

from search.article import PublicationType
from search.retrieval.context import context_of, tokens_of
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.hit import Hit


def hit(rank, *sentences, **fields):
    text = " ".join(sentences)
    evidence = [
        EvidenceSentence(
            sentence, text.index(sentence), text.index(sentence) + len(sentence), 1 - place / 10, "results"
        )
        for place, sentence in enumerate(sentences)
    ]
    return Hit(rank=rank, score=0.5, article=article(rank, f"Title {rank}.", text, **fields), evidence=tuple(evidence))


def retracted(rank, *sentences):
    return hit(rank, *sentences, publication_types=(PublicationType("Retracted Publication"),))


def test_passages_are_numbered_and_sentences_in_the_order_of_the_abstract():
    nearest_last = hit(1, "First said.", "Then said.")
    nearest_last = Hit(rank=1, score=0.5, article=nearest_last.article, evidence=nearest_last.evidence[::-1])
    found = context_of("q", [nearest_last, hit(2, "Another.")], 1000)
    assert found.text == (
        "[1] Title 1. PMID: 1. https://pubmed.ncbi.nlm.nih.gov/1/\nResults: First said. ... Results: Then said.\n\n"
        "[2] Title 2. PMID: 2. https://pubmed.ncbi.nlm.nih.gov/2/\nResults: Another."
    )
    assert [(source.number, source.pmid) for source in found.sources] == [(1, 1), (2, 2)]
    assert found.tokens >= tokens_of(found.text)


@pytest.mark.parametrize("tokens", [1, 30, 50, 80, 120])
def test_the_budget_is_kept_and_the_nearest_sentences_stay(tokens):
    hits = [
        hit(rank, "Short and near.", "A much longer sentence that is not as near as the other one.")
        for rank in (1, 2, 3)
    ]
    found = context_of("q", hits, tokens)
    assert tokens_of(found.text) <= found.tokens <= tokens
    assert all(source.sentences[0].text == "Short and near." for source in found.sources)
    assert len(found.sources) == {1: 0, 30: 1, 50: 1, 80: 2, 120: 3}[tokens]


def test_retracted_articles_are_marked_or_left_out():
    hits = [retracted(1, "It works."), hit(2, "It does not.")]
    marked = context_of("q", hits, 1000)
    assert marked.sources[0].retracted and marked.sources[0].warnings == ("retracted",)
    assert marked.text.startswith("[1] [RETRACTED] Title 1.")
    left = context_of("q", hits, 1000, retracted="leave out")
    assert [source.pmid for source in left.sources] == [2] and "It works" not in left.text
