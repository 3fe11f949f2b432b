"""Findings: quotations only, those that agree together, the firmest designs first, retracted ones last and marked."""

import numpy as np

from search.article import AbstractSection, Article, PublicationType
from search.retrieval.evidence import EvidenceSentence
from search.retrieval.findings import findings_of
from search.retrieval.hit import Hit


def encode(texts):
    """Texts of the same first word are the same."""
    words = sorted({text.split()[0] for text in texts})
    return np.array([np.eye(len(words))[words.index(text.split()[0])] for text in texts])


def hit(rank, text, role="conclusions", types=()):
    article = Article(
        pmid=rank,
        title=f"Title {rank}",
        abstract=(AbstractSection(text),),
        publication_types=tuple(map(PublicationType, types)),
    )
    return Hit(rank=rank, score=1 / rank, article=article, evidence=(EvidenceSentence(text, 0, len(text), 0.5, role),))


def pmids(found):
    return [[finding.pmid for finding in group] for group in found.groups]


def test_findings_that_agree_are_together_and_those_that_point_another_way_are_not():
    found = findings_of(
        "q",
        [
            hit(1, "Aspirin reduced the risk."),
            hit(2, "Aspirin did not reduce the risk."),
            hit(3, "Aspirin reduced it again."),
            hit(4, "Aspirin increased the risk."),
            hit(5, "Statins reduced the risk."),
        ],
        encode,
    )
    assert pmids(found) == [[1, 3], [2], [4], [5]]
    assert [finding.number for group in found.groups for finding in group] == [1, 2, 3, 4, 5]


def test_firmer_designs_come_first_and_retracted_articles_last():
    found = findings_of(
        "q",
        [
            hit(1, "Alpha works.", types=["Retracted Publication", "Meta-Analysis"]),
            hit(2, "Alpha works too."),
            hit(3, "Beta works.", types=["Case Reports"]),
            hit(4, "Gamma works.", types=["Randomized Controlled Trial"]),
        ],
        encode,
    )
    assert pmids(found) == [[4], [3], [2], [1]]
    last = found.groups[-1][0]
    assert last.retracted and last.warnings == ("retracted",) and last.citation.startswith("[RETRACTED] Title 1")


def test_every_word_is_a_sentence_of_its_article():
    hits = [hit(1, "Alpha works."), hit(2, "Beta is studied.", "background"), hit(3, "Gamma fell.", "results")]
    found = findings_of("q", hits, encode)
    assert pmids(found) == [[1], [3]]
    texts = {one.pmid: one.article.abstract_text for one in hits}
    assert all(finding.text in texts[finding.pmid] for group in found.groups for finding in group)
    assert found.groups[1][0].section == "Results"


def test_nothing_near_enough_is_no_finding_and_encodes_nothing():
    assert findings_of("q", [Hit(rank=1, score=0.2, article=Article(pmid=1))], None).groups == ()
