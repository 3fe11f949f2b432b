"""Pair correlation: values known by construction, the published layouts, and files that cannot be used."""

import gzip
import json

import numpy as np
import pytest

from search.errors import EvaluationError
from search.evaluation.pair_correlation import PairSet, evaluate_pairs, load_pair_set, shuffled


def one_hot(texts, kind):
    """Encode the number in a text as a unit vector: equal numbers have cosine 1, others 0."""
    rows = np.zeros((len(texts), 50), dtype=np.float32)
    rows[np.arange(len(texts)), [int(text.split()[-1]) for text in texts]] = 1
    return rows


def test_perfect_encoder_scores_100():
    texts = tuple(f"text {number}" for number in range(40))
    scores = evaluate_pairs(one_hot, PairSet("a:b", texts, texts), model="m", shuffles=3)
    assert (scores.pearson, scores.spearman) == pytest.approx((100, 100))
    assert scores.pearson_spread == pytest.approx(0, abs=1e-6)


def test_a_share_of_wrong_pairs_lowers_the_correlation_as_computed():
    first = tuple(f"text {number}" for number in range(40))
    second = tuple(f"text {number if number < 30 else 49}" for number in range(40))
    scores = evaluate_pairs(one_hot, PairSet("a:b", first, second), shuffles=1)
    # 30 of 40 true pairs have cosine 1 and no shuffled pair has: the phi coefficient of that table.
    assert scores.pearson == pytest.approx(100 * (30 * 40 - 0) / np.sqrt(30 * 50 * 40 * 40), abs=1e-4)


def test_two_tower_kinds_are_passed_on():
    kinds = []

    def encode(texts, kind):
        kinds.append(kind)
        return one_hot(texts, kind)

    evaluate_pairs(encode, PairSet("a:b", ("x 1", "x 2"), ("x 1", "x 2")))
    assert kinds == ["query", "document"]


@pytest.mark.parametrize("count", [2, 3, 10, 1001])
def test_shuffle_moves_every_row(count):
    order = shuffled(count, 3)
    assert sorted(order) == list(range(count))
    assert not np.any(order == np.arange(count))


def test_published_layouts(tmp_path):
    rows = [{"question": f"q {n}?", "long_answer": f"a {n}", "pubid": n} for n in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as stream:
        stream.write("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "ori.json").write_text(
        json.dumps(
            {str(row["pubid"]): {"QUESTION": row["question"], "LONG_ANSWER": row["long_answer"]} for row in rows}
        )
    )
    (tmp_path / "c.json").write_text(json.dumps(rows))
    expected = PairSet("pubmedqa", ("q 0?", "q 1?", "q 2?"), ("a 0", "a 1", "a 2"))
    for name in ("a.jsonl", "b.jsonl.gz", "ori.json", "c.json"):
        assert load_pair_set(tmp_path / name, "pubmedqa") == expected
    assert load_pair_set(tmp_path / "a.jsonl", "Question:long_answer").first == expected.first


def test_parquet_layout(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"title": ["t1", "t2"], "text": ["x1", "x2"], "other": [1, 2]})
    parquet.write_table(table, tmp_path / "test.parquet")
    assert load_pair_set(tmp_path / "test.parquet", "subset") == PairSet("subset", ("t1", "t2"), ("x1", "x2"))
    with pytest.raises(EvaluationError, match="no column 'article'; it has other, text, title"):
        load_pair_set(tmp_path / "test.parquet", "summary")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"title": "a"}\n', "line 1 has no column 'text'; it has title"),
        ('{"title": "a", "text": "b"}\n', r"has 1 row\(s\) of pairs"),
        ("", r"has 0 row\(s\)"),
        ('{"title": "a", "text": " "}\n', "line 1 has no text in 'text'"),
        ('{"title": "a", "text": 3}\n', "line 1 has no text in 'text'"),
        ('{"title": "a", "te', "cannot be read"),
        ("[1, 2]\n", "line 1 is not a row"),
    ],
)
def test_unusable_files(tmp_path, content, message):
    file = tmp_path / "pairs.jsonl"
    file.write_text(content)
    with pytest.raises(EvaluationError, match=message):
        load_pair_set(file, "subset")


def test_missing_file_and_unknown_set(tmp_path):
    with pytest.raises(EvaluationError, match="does not exist"):
        load_pair_set(tmp_path / "none.jsonl", "subset")
    with pytest.raises(EvaluationError, match="is not a set of pairs; known are pubmedqa"):
        load_pair_set(tmp_path / "none.jsonl", "scifact")
