"""A cross-encoder as the second stage, from the configuration to the order of the hits."""

import numpy as np
import pytest
import torch

from search import Config, Index
from search.article import embedding_text


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory):
    """A small BERT with random weights that scores pairs of texts."""
    torch.manual_seed(5)
    transformers = pytest.importorskip("transformers")
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = tmp_path_factory.mktemp("cross-encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(str(folder / "vocab.txt"))
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_labels=1,
    )
    model = transformers.BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, sentence_transformers.CrossEncoder(str(folder))


def test_hits_come_in_the_order_of_the_cross_encoder(built_demo, cross_encoder):
    folder, reference = cross_encoder
    question = "does salt raise blood pressure"
    with Index.open(built_demo, config=Config(rerank=str(folder))) as index:
        found = index.search(question, limit=5)
        first = Index.open(built_demo).search(question, limit=100)
    pairs = [(question, embedding_text(hit.article)) for hit in first]
    expected = reference.predict(pairs, activation_fn=torch.nn.Identity())
    assert np.ptp(expected) > 0.1
    best = np.sort(expected)[::-1][:5]
    assert [hit.score for hit in found] == pytest.approx(best.tolist(), abs=1e-3)
    assert [hit.rank for hit in found] == [1, 2, 3, 4, 5]
    assert {hit.pmid for hit in found} <= {hit.pmid for hit in first}
