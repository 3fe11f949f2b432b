"""What pairs are mined from articles that are made to be awkward."""

import gzip
import json

import pytest

from search.article import AbstractSection, Article
from search.errors import TrainingError
from search.retrieval.sentences import sentences_of
from search.training.pairs import Pair, mine_pairs, read_pairs

ABSTRACT = (
    "Aspirin is widely used. We asked whether it prevents strokes in adults of high risk over ten years. "
    "We followed 1,200 adults. Strokes were fewer with aspirin than without. Bleeding was more frequent. "
    "Aspirin prevents strokes at the price of bleeding."
)


def article(pmid, title, abstract=ABSTRACT):
    return Article(pmid=pmid, title=title, abstract=(AbstractSection(text=abstract),) if abstract else ())


ARTICLES = [
    article(1, "Aspirin for the prevention of stroke in adults."),
    article(2, "Aspirin for the prevention of stroke in adults"),
    article(3, "Aspirin for the Prevention of Stroke in Adults: authors' reply."),
    article(4, "Prevention of stroke with statins."),
    article(5, "[Insulin pumps in children with diabetes]."),
    article(6, "Insulin doses in children."),
    article(7, "Reply."),
    article(8, "Malaria vaccines for travellers.", abstract=None),
]


def mine(tmp_path, articles=ARTICLES, **options):
    report = mine_pairs(articles, tmp_path / "pairs.jsonl.gz", **options)
    return report, read_pairs(tmp_path / "pairs.jsonl.gz")


def test_title_and_abstract(tmp_path):
    report, pairs = mine(tmp_path, kinds=["title-abstract"])
    assert {pair.pmids[0] for pair in pairs} == {1, 2, 3, 4, 5, 6}
    assert {pair.positive for pair in pairs} == {ABSTRACT}
    assert next(pair.anchor for pair in pairs if pair.pmids == (5,)) == "Insulin pumps in children with diabetes"
    assert report.left_out == {"title too short": 1, "abstract too short": 1}
    assert (report.articles, report.sampled, report.total) == (8, 7, 6)
    assert report.lengths["title-abstract"][1] == len(ABSTRACT.split())


def test_similar_titles_are_others_and_pair_once(tmp_path):
    _, pairs = mine(tmp_path, kinds=["similar-title"])
    found = {frozenset(pair.pmids) for pair in pairs}
    # 1 and 2 are the same title; 8 shares only `for` with others.
    assert frozenset({1, 2}) not in found
    assert len(found) == len(pairs)
    assert frozenset({5, 6}) in found
    for pair in pairs:
        assert pair.anchor.casefold().rstrip(".") != pair.positive.casefold().rstrip(".")


def test_equal_scores_give_the_smaller_pmid(tmp_path):
    articles = [
        article(10, "Asthma of the young"),
        article(30, "Asthma one unlike"),
        article(20, "Asthma two unlike"),
        article(40, "Nothing shared here"),
    ]
    _, pairs = mine(tmp_path, articles, kinds=["similar-title"])
    assert next(pair for pair in pairs if pair.anchor == "Asthma of the young").pmids == (10, 20)


def test_many_identical_titles_do_not_hide_the_similar_one(tmp_path):
    same = [article(100 + number, "Stroke in the elderly population") for number in range(50)]
    _, pairs = mine(tmp_path, [*same, article(1, "Stroke prevention in young people")], kinds=["similar-title"])
    assert {frozenset(pair.pmids) for pair in pairs} == {frozenset({100 + number, 1}) for number in range(50)}


def test_kinds_from_the_abstract(tmp_path):
    _, pairs = mine(tmp_path, ARTICLES[:1], kinds=["title-conclusion", "sentence-rest"])
    conclusion, sentence = pairs
    assert conclusion.positive == "Bleeding was more frequent. Aspirin prevents strokes at the price of bleeding."
    assert sentence.anchor in sentences_of(ABSTRACT)[3:]
    assert sentence.anchor not in sentence.positive
    assert sentence.positive.startswith(ARTICLES[0].title)


def test_the_same_seed_gives_the_same_bytes_in_any_order(tmp_path):
    many = [article(number, f"Title number {number} about topic {number % 7}") for number in range(1, 200)]
    files = []
    for name, rows, seed in [("a", many, 1), ("b", many[::-1], 1), ("c", many, 2)]:
        mine_pairs(rows, tmp_path / f"{name}.gz", seed=seed, sample=20, kinds=["title-abstract"])
        files.append((tmp_path / f"{name}.gz").read_bytes())
    assert files[0] == files[1] != files[2]
    assert len(read_pairs(tmp_path / "a.gz")) == 20


def test_repeated_pmid_counts_once(tmp_path):
    report, pairs = mine(tmp_path, [ARTICLES[0], ARTICLES[0]], kinds=["title-abstract"])
    assert len(pairs) == 1
    assert report.left_out == {"PMID seen before": 1}


def test_nothing_to_mine(tmp_path):
    with pytest.raises(TrainingError, match="not one pair could be made of 0 articles"):
        mine_pairs([], tmp_path / "pairs.jsonl")
    with pytest.raises(TrainingError, match="abstract too short: 1"):
        mine_pairs(ARTICLES[7:], tmp_path / "pairs.jsonl", kinds=["title-abstract"])
    assert list(tmp_path.iterdir()) == []


def test_wrong_options(tmp_path):
    with pytest.raises(TrainingError, match="kinds of pairs: title; known are title-abstract"):
        mine_pairs(ARTICLES, tmp_path / "pairs.jsonl", kinds=["title"])
    with pytest.raises(TrainingError, match="a sample of 0"):
        mine_pairs(ARTICLES, tmp_path / "pairs.jsonl", sample=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        mine_pairs(ARTICLES, tmp_path / "file" / "pairs.jsonl")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"anchor": "a"}', "line 2 has no text in 'positive'"),
        ('{"anchor": " ", "positive": "b"}', "line 2 has no text in 'anchor'"),
        ('{"anchor": "a", "pos', "line 2 is not JSON"),
        ("[]", "line 2 has no text in 'anchor'"),
    ],
)
def test_unusable_pairs_file(tmp_path, line, message):
    file = tmp_path / "pairs.jsonl"
    file.write_text(json.dumps({"anchor": "a", "positive": "b"}) + "\n" + line + "\n")
    with pytest.raises(TrainingError, match=message):
        read_pairs(file)


def test_missing_and_cut_off_pairs_file(tmp_path):
    with pytest.raises(TrainingError, match="does not exist; make pairs first"):
        read_pairs(tmp_path / "none.jsonl.gz")
    whole = gzip.compress(b'{"anchor": "a", "positive": "b"}\n' * 5000)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(TrainingError, match="cannot be read after"):
        read_pairs(tmp_path / "cut.jsonl.gz")


def test_read_pairs_needs_only_two_texts(tmp_path):
    (tmp_path / "own.jsonl").write_text('{"anchor": "a", "positive": "b"}\n\n')
    assert read_pairs(tmp_path / "own.jsonl") == [Pair("a", "b", "", ())]
