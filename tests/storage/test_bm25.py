"""One BM25: tantivy's, that of unmerged articles, PostgreSQL's and that of training give the same scores."""

import numpy as np
import pytest
from helpers import article, put

from search.article import MeshHeading
from search.storage import backend
from search.storage.bm25 import FIELDS, field_texts, question_terms
from search.training.bm25_matrix import BM25

ARTICLES = [
    article(1, "Aspirin prevents strokes", "The aspirin of Sj\u00f6gren's patients: a trial of aspirin in strokes."),
    article(2, "Statins lower the cholesterol of adults", "And not of children."),
    article(3, "Strokes, STROKES and statins"),
    article(4, "On pneumonoultramicroscopicsilicovolcanoconiosis", "A word of more than forty letters."),
    article(5, "Nothing of the kind", mesh_headings=(MeshHeading("Stroke"),)),
]
QUESTIONS = ["stroke statin", "the aspirin of the patients", "sjogren", "statins statins cholesterol", "zebra kidneys",
             "pneumonoultramicroscopicsilicovolcanoconiosis trials"]  # fmt: skip


@pytest.mark.parametrize("merged", [0, len(ARTICLES)], ids=["unmerged", "merged"])
def test_bm25_is_the_same_everywhere(address, encoder, merged):
    put(address, encoder, *ARTICLES, merge=bool(merged))
    fields = [field_texts(item) for item in ARTICLES]
    matrices = {
        field: BM25([texts[field] for texts in fields]) for field in FIELDS if any(texts[field] for texts in fields)
    }
    scores = sum(FIELDS[field] * bm25.score_all(bm25.terms(QUESTIONS)) for field, bm25 in matrices.items())
    reader = backend.open_reader(address)
    with reader.view() as view:
        for question, row in zip(QUESTIONS, scores, strict=True):
            expected = {pmid: pytest.approx(score, rel=1e-5) for pmid, score in enumerate(row.tolist(), 1) if score}
            pmids, found = view.bm25(question_terms(question), 10)
            assert dict(zip(pmids.tolist(), found.tolist(), strict=True)) == expected
            assert view.bm25_scores(question_terms(question), np.arange(1, 6)) == expected
    reader.close()
    # Only the words of one question are in no article.
    assert [bool(row.any()) for row in scores] == [True, True, True, True, False, True]


def test_a_word_that_only_an_unmerged_article_has_finds_it(address, encoder):
    put(address, encoder, *ARTICLES, merge=True)
    put(address, encoder, article(9, "Zebras in the clinic", "A herd."))
    reader = backend.open_reader(address)
    with reader.view() as view:
        assert view.bm25(question_terms("zebra"), 10)[0].tolist() == [9]
        assert view.idf(["zebra", "unicorn"])["zebra"] > 1 and view.idf(["unicorn"]) == {"unicorn": 0}
    reader.close()
