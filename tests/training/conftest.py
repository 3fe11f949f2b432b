"""A tiny BERT with random weights in the layout that sentence-transformers writes."""

import random

import pytest

from search.training.pairs import Pair

TOPICS = "aspirin statin insulin vaccine antibiotic surgery stroke diabetes asthma cancer pain infection fracture"
FILLER = "trial cohort review children adults risk mortality dose effect of in and with for the"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Let torch compute in one thread: for a model this small two only wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_model(one_thread, tmp_path_factory):
    """Return the folder of a BERT of 2 layers and 32 dimensions that knows `TOPICS`, `FILLER` and letters."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast, set_seed

    folder = tmp_path_factory.mktemp("tiny")
    letters = [prefix + letter for letter in "abcdefghijklmnopqrstuvwxyz0123456789" for prefix in ("", "##")]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TOPICS.split(), *FILLER.split(), *letters]
    bert = folder / "bert"
    bert.mkdir()
    (bert / "vocab.txt").write_text("\n".join(vocabulary))
    set_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(bert)
    BertTokenizerFast(vocab={word: row for row, word in enumerate(vocabulary)}).save_pretrained(bert)
    transformer = Transformer(str(bert), max_seq_length=64)
    model = SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="mean"), Normalize()], device="cpu")
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


@pytest.fixture(scope="session")
def made_pairs():
    """Return a function that makes pairs whose two texts share two topics among words that mean nothing."""

    def make(count=400):
        rng = random.Random(0)
        pairs = []
        for number in range(count):
            topics = rng.sample(TOPICS.split(), 2)
            anchor = " ".join([*topics, *rng.sample(FILLER.split(), 3)])
            positive = " ".join([*rng.sample(FILLER.split(), 8), *topics[::-1], *rng.sample(FILLER.split(), 3)])
            pairs.append(Pair(anchor, positive, "made", (number,)))
        return pairs

    return make
