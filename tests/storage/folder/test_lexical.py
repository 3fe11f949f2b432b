"""Words: BM25 equals its formula, and a generation made of links equals one built from scratch."""

import math

import numpy as np
import pytest
from helpers import article, put

from search.article import Keyword, MeshHeading
from search.storage.bm25 import matched_words, question_terms, question_words, words
from search.storage.folder.folder_reader import IndexReader
from search.storage.folder.folder_writer import IndexWriter
from search.storage.folder.tantivy_index import LexicalIndex, LexicalWriter

TEXTS = {
    1: "aspirin prevents bowel cancer",
    2: "aspirin aspirin and the heart",
    3: "bowel cancer screening with colonoscopy saves lives",
    4: "a study of sleep",
}


def build(path, texts, base=None, removed=()):
    writer = LexicalWriter(path, base)
    writer.remove(removed)
    writer.add(article(pmid, text) for pmid, text in texts.items())
    writer.finish()
    return LexicalIndex(path)


def found(index, question, limit=10, **restrictions):
    pmids, scores = index.search(question_terms(question), limit, **restrictions)
    return dict(zip(pmids.tolist(), scores.tolist(), strict=True))


def bm25(question, texts, k1=1.2, b=0.75):
    split = {pmid: words(text) for pmid, text in texts.items()}
    mean = sum(map(len, split.values())) / len(split)
    scores = {}
    for pmid, held in split.items():
        for word in question_words(question):
            frequency = sum(word in other for other in split.values())
            if word in held:
                idf = math.log(1 + (len(split) - frequency + 0.5) / (frequency + 0.5))
                count = held.count(word)
                # These articles are titles alone: their words are found in the text and, for .2, in the title.
                score = 1.2 * idf * count * (k1 + 1) / (count + k1 * (1 - b + b * len(held) / mean))
                scores[pmid] = scores.get(pmid, 0) + score
    return scores


@pytest.mark.parametrize("question", ["aspirin and bowel cancer", "sleeping", "heart"])
def test_scores_are_bm25(tmp_path, question):
    index = build(tmp_path / "a", TEXTS)
    assert found(index, question) == pytest.approx(bm25(question, TEXTS), rel=1e-5)


def test_a_question_is_only_words(tmp_path):
    index = build(tmp_path / "a", TEXTS)
    for question in ('pmid:1 OR "bowel', "text:aspirin^99", "*", "NOT aspirin", "/a.*/", "((((", "~", ""):
        assert found(index, question) == pytest.approx(bm25(question, TEXTS), rel=1e-5)


def test_headings_and_keywords_are_looked_up(tmp_path):
    writer = LexicalWriter(tmp_path / "a", None)
    writer.add(
        [
            article(1, "one", mesh_headings=(MeshHeading("Colorectal Neoplasms"),)),
            article(2, "two", keywords=(Keyword("café culture"),)),
        ]
    )
    writer.finish()
    index = LexicalIndex(tmp_path / "a")
    assert list(found(index, "neoplasm")) == [1]
    assert list(found(index, "CAFE")) == [2]


def test_a_generation_of_links_equals_one_made_rebuilt(tmp_path):
    build(tmp_path / "1", TEXTS)
    changed = {2: "aspirin for the heart", 5: "bowel preparation"}
    linked = build(tmp_path / "2", changed, base=tmp_path / "1", removed=[2, 4, 5])
    rebuilt = build(tmp_path / "3", {1: TEXTS[1], 3: TEXTS[3], **changed})
    assert linked.count == rebuilt.count == 4
    for question in ("aspirin", "bowel cancer", "sleep", "heart"):
        # tantivy counts a deleted document's words until it merges segments, so scores differ a little; ranks do not.
        assert list(found(linked, question)) == list(found(rebuilt, question))
    before = LexicalIndex(tmp_path / "1")
    assert found(before, "sleep") == pytest.approx(bm25("sleep", TEXTS), rel=1e-5)


def test_restrictions_apply_before_the_cut(tmp_path):
    texts = {pmid: "aspirin " + "x " * (pmid % 7) for pmid in range(1, 300)}
    index = build(tmp_path / "a", texts)
    everything = found(index, "aspirin", 1000)
    allowed = np.arange(1, 300, 3)
    for restriction, pmids in (
        (dict(allowed=allowed), set(allowed.tolist())),
        (dict(excluded=allowed), set(texts) - set(allowed.tolist())),
        (dict(allowed=np.array([7, 9]), excluded=np.array([9])), {7}),
    ):
        expected = sorted(((score, pmid) for pmid, score in everything.items() if pmid in pmids), reverse=True)[:20]
        assert list(found(index, "aspirin", 20, **restriction)) == [pmid for _, pmid in expected]


def test_what_is_pending_is_found_by_its_words(folder, encoder):
    put(folder, encoder, *[article(pmid, text) for pmid, text in TEXTS.items()], merge=True)
    put(folder, encoder, article(9, "aspirin and zebras"), article(2, "nothing of that any more", revised="2020-01-01"))
    writer = IndexWriter(folder)
    writer.store.delete([1])
    writer.close()
    reader = IndexReader(folder)
    with reader.view() as view:
        assert view.bm25(question_terms("aspirin"), 10)[0].tolist() == [9]
        assert view.bm25(question_terms("zebra"), 10)[0].tolist() == [9]
        assert view.bm25(question_terms("bowel"), 10)[0].tolist() == [3]
        assert set(view.bm25_scores(question_terms("aspirin colonoscopy"), np.array([1, 2, 3, 9]))) == {3, 9}
    reader.close()


def test_matched_words_are_those_of_both():
    assert matched_words("Does aspirin prevent cancers?", article(1, "Cancer and Aspirin")) == ["aspirin", "cancer"]
