"""Retrieval on a small collection whose right answers are known, and folders that cannot be used."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from search.cli.evaluate import evaluate
from search.errors import EvaluationError, ModelError
from search.evaluation.collection import load_collection
from search.evaluation.pair_correlation import PAIR_SETS, PairScores
from search.evaluation.result_tables import (
    comparison_text,
    index_text,
    pairs_table,
    plot_results,
    render,
    retrieval_table,
    to_json,
)
from search.evaluation.retrieval import compare, evaluate_retrieval, judge, rank_documents
from search.retrieval import ranking
from search.retrieval.fusion import fuse
from search.training.bm25_matrix import BM25

DOCUMENTS = [
    {"_id": "a", "title": "Aspirin", "text": "prevents strokes in adults"},
    {"_id": "b", "title": "Statins", "text": "lower cholesterol"},
    {"_id": "c", "title": "Cholesterol", "text": "and strokes: a cohort of statins"},
    {"_id": "d", "title": "", "text": "Vitamin D and bones"},
]
QUERIES = [
    {"_id": "1", "text": "stroke prevention with aspirin"},
    {"_id": "2", "text": "statin cholesterol"},
    {"_id": "3", "text": "never judged"},
    {"_id": "4", "text": "judged, nothing relevant"},
]
QRELS = "query-id\tcorpus-id\tscore\n1\ta\t2\n1\tc\t1\n2\tb\t1\n4\td\t0\n"


def write(folder, documents=DOCUMENTS, queries=QUERIES, qrels=QRELS, split="test"):
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps(row) for row in documents))
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(row) for row in queries))
    (folder / "qrels" / f"{split}.tsv").write_text(qrels)
    return folder


@pytest.fixture
def collection(tmp_path):
    return load_collection(write(tmp_path / "small"))


def encode(texts, kind):
    """Place texts by the words aspirin and cholesterol only."""
    rows = np.array(
        [[0.1 + ("aspirin" in text.lower()), 0.1 + ("cholesterol" in text.lower()), 0.2] for text in texts], np.float32
    )
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_command_compares_a_model_with_itself_in_another_precision(tmp_path):
    folder = write(tmp_path / "small")
    found = CliRunner().invoke(
        evaluate,
        ["retrieval", "--collection", str(folder), "--mode", "semantic", "--format", "json"]
        + ["--compare", "builtin", "builtin@fp32"],
    )
    rows = json.loads(found.output)
    assert [row["model"] for row in rows[:2]] == ["builtin", "builtin@fp32"]
    assert rows[0]["intervals"]["nDCG@10"] == rows[1]["intervals"]["nDCG@10"]


def test_what_is_no_precision_is_part_of_the_name(tmp_path):
    with pytest.raises(ModelError, match="model does not exist"):
        CliRunner().invoke(
            evaluate,
            ["retrieval", "--collection", str(write(tmp_path / "small")), "--model", str(tmp_path / "model@half")],
            catch_exceptions=False,
        )


def test_load_collection(collection):
    assert (collection.name, collection.split) == ("small", "test")
    assert collection.documents[0] == "Aspirin prevents strokes in adults"
    assert collection.documents[3] == "Vitamin D and bones"
    # A question that was never judged and one without a relevant document are not counted.
    assert collection.query_ids == ("1", "2")
    assert collection.judgements == {"1": {"a": 2, "c": 1}, "2": {"b": 1}}


def test_rankings_and_measures(collection):
    semantic, lexical, hybrid = evaluate_retrieval(collection, encode, model="toy")
    assert [document for document, _ in semantic.run["1"]][0] == "a"
    # b and c have the same cosine; the corpus decides.
    assert [document for document, _ in semantic.run["2"]][:2] == ["b", "c"]
    assert lexical.model == "BM25"
    assert {document for document, _ in lexical.run["2"]} == {"b", "c"}
    assert semantic.per_query["2"]["nDCG@10"] == 1
    assert hybrid.mean("recall@100") == 1
    assert (semantic.index.kind, semantic.index.recall) == ("IDMap,SQfp16", 1)
    assert lexical.index is None
    assert (
        index_text([semantic, lexical])
        == "index (IDMap,SQfp16) of small test by toy: it finds 1.0000 of the exact 4 nearest"
    )
    assert semantic.mean("MRR") == pytest.approx(np.mean([row["MRR"] for row in semantic.per_query.values()]))


def test_lexical_scores_are_bm25(collection):
    run = rank_documents(collection, "lexical")
    bodies = [text.removeprefix(title) for title, text in zip(collection.titles, collection.documents, strict=True)]
    texts = [f"{title} {body}" for title, body in zip(collection.titles, bodies, strict=True)]
    row = collection.query_ids.index("2")
    expected = sum(
        weight * bm25.score_all(bm25.terms(list(collection.queries)))[row]
        for weight, bm25 in ((1.0, BM25(texts)), (0.2, BM25(list(collection.titles))))
    )
    assert dict(run["2"])["b"] == pytest.approx(expected[1], abs=1e-3)


def test_hybrid_adds_bm25_to_the_cosine_of_every_document(collection):
    lexical = dict(rank_documents(collection, "lexical")["2"])
    cosine = float(encode([collection.queries[1]], "query")[0] @ encode([collection.documents[2]], "document")[0])
    score = dict(rank_documents(collection, "hybrid", encode, feedback=False)["2"])["c"]
    assert score == pytest.approx(cosine + 0.4 * lexical["c"] / max(lexical.values()), abs=1e-6)


def test_the_candidates_are_those_of_a_search(tmp_path, monkeypatch):
    cosines = {"alpha": 1.0, "delta": 0.9, "alpha beta gamma": 0.8, "alpha alpha alpha": 0.1}
    documents = [{"_id": text, "title": "", "text": text} for text in list(cosines)[1:]]
    qrels = "query-id\tcorpus-id\tscore\n1\tdelta\t1\n"
    collection = load_collection(write(tmp_path / "three", documents, [{"_id": "1", "text": "alpha"}], qrels))

    def encode_by_table(texts, kind):
        return np.array([[cosines[text], (1 - cosines[text] ** 2) ** 0.5] for text in texts], np.float32)

    def best():
        return rank_documents(collection, "hybrid", encode_by_table, depth=1, feedback=False)["1"][0][0]

    # The best of all is second in both lists: a search that fuses one candidate of each cannot find it.
    assert best() == "alpha beta gamma"
    monkeypatch.setattr(ranking, "FUSION_DEPTH", 1)
    assert best() == "delta"


def test_fuse():
    assert fuse({}, {}) == []
    assert fuse({1: 0.5, 2: 0.5}, {}) == [(1, 0.5), (2, 0.5)]
    assert fuse({1: 0.5, 2: 0.4}, {2: 8.0, 3: 4.0}) == [
        (2, pytest.approx(0.8)),
        (1, pytest.approx(0.5)),
        (3, pytest.approx(0.2)),
    ]
    assert fuse({"x": 0.1}, {"x": 0.0}) == [("x", 0.1)]


def test_compare_and_reports(collection, tmp_path):
    results = evaluate_retrieval(collection, encode, model="toy")
    worst = judge(collection, {}, model="nothing", mode="semantic")
    comparison = compare(results[0], worst)
    assert comparison.difference == pytest.approx(results[0].mean("nDCG@10"))
    assert (comparison.wins, comparison.losses, comparison.ties) == (2, 0, 0)
    assert "better on 2 questions" in comparison_text(comparison)
    markdown = render(retrieval_table(results), "markdown").splitlines()
    assert markdown[0] == "| model | collection | mode | questions | nDCG@10 | recall@100 | MRR | P@10 |"
    assert len(markdown) == 5
    values = json.loads(to_json(results))
    assert values[0]["per_query"]["2"]["nDCG@10"] == 1
    assert "run" not in values[0]
    with pytest.raises(EvaluationError, match="not a measure"):
        compare(results[0], worst, "F1")


def test_pairs_table_beside_the_published_figures():
    head, rows = pairs_table([PairScores("mine", "pubmedqa", 1000, 5, 91.234, 0.1, 85.0, 0.1)])
    assert head == ["model", "PubMed QA", "average"]
    assert rows[0] == ["mine", "91.23 ± 0.10", "91.23"]
    assert ["neuml/pubmedbert-base-embeddings (published)", "93.27", "93.27"] in rows


def test_published_figures_stand_beside_the_set_they_belong_to():
    scores = [PairScores("mine", name, 1000, 5, 90.0, 0.1, 85.0, 0.1) for name in PAIR_SETS]
    head, rows = pairs_table(scores)
    repositories = {columns.title: columns.repository for columns in PAIR_SETS.values()}
    figures = dict(zip(head, next(row for row in rows if "pubmedbert" in row[0]), strict=True))
    assert repositories["PubMed Subset"] == "awinml/pubmed_abstract_3_1k" and figures["PubMed Subset"] == "97.00"
    assert repositories["PubMed Subset (zxvix)"] == "zxvix/pubmed_subset_new"
    assert figures["PubMed Subset (zxvix)"] == "97.07"
    # The averages of the two cards.
    for subset, averages in (
        ("subset", "93.46 93.78 95.37 95.62 92.69"),
        ("subset-zxvix", "93.44 93.70 95.35 95.64 92.58"),
    ):
        _, rows = pairs_table([score for score in scores if score.pair_set in ("pubmedqa", subset, "summary")])
        assert [row[-1] for row in rows[1:]] == averages.split()


def test_plot(tmp_path):
    values = {"base": {"scifact": 0.6}, "mine": {"scifact": 0.7}}
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        with pytest.raises(EvaluationError, match="needs matplotlib"):
            plot_results(values, tmp_path / "plot.svg")
    else:
        assert "mine" in plot_results(values, tmp_path / "plot.svg").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"documents": [{"_id": "a", "title": "x"}]}, r"corpus.jsonl line 1 has no 'text'; it has _id, title"),
        ({"documents": [DOCUMENTS[0], DOCUMENTS[0]]}, "line 2 gives the id 'a' a second time"),
        ({"qrels": "query-id\tcorpus-id\tscore\n1\tzz\t1\n"}, "test.tsv line 2 judges the document 'zz'"),
        ({"qrels": "query-id\tcorpus-id\tscore\n9\ta\t1\n"}, "judges the question '9'"),
        ({"qrels": "query-id\tcorpus-id\n1\ta\n"}, "line 2 is not 'query-id TAB corpus-id TAB grade'"),
        ({"qrels": "query-id\tcorpus-id\tscore\n1\ta\t0\n"}, "nothing to judge by"),
        ({"split": "train2"}, None),
    ],
)
def test_unusable_collections(tmp_path, change, message):
    folder = write(tmp_path / "bad", **change)
    if message is None:
        # The only split is taken; one that is not there is named.
        assert load_collection(folder).split == "train2"
        with pytest.raises(EvaluationError, match="no judgements of the split 'dev'"):
            load_collection(folder, "dev")
        return
    with pytest.raises(EvaluationError, match=message):
        load_collection(folder)


def test_missing_parts(tmp_path, collection):
    with pytest.raises(EvaluationError, match="is not a folder"):
        load_collection(tmp_path / "none")
    with pytest.raises(EvaluationError, match=r"has no corpus\.jsonl"):
        load_collection(tmp_path)
    with pytest.raises(EvaluationError, match="needs a model"):
        evaluate_retrieval(collection, None, modes=["semantic"])
    with pytest.raises(EvaluationError, match="is not a mode"):
        evaluate_retrieval(collection, encode, modes=["neural"])
