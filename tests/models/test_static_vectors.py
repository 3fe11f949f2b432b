"""Static vectors: sums of token rows, fitted to a model's own vectors."""

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Whitespace

from search.errors import ModelError
from search.models.static_vectors import StaticVectors, TokenIds, builtin_static, fit, from_vocabulary, static_of

WORDS = ["[UNK]", *(f"w{number}" for number in range(200)), "heart", "##s", "attack", ".", "##3"]


def tokenizer(by_word=True):
    made = Tokenizer(WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = BertNormalizer()
    made.pre_tokenizer = BertPreTokenizer() if by_word else Whitespace()
    return made


def random_texts(count, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS[1:201], random.integers(5, 40))) for _ in range(count)]


@pytest.mark.parametrize("by_word", [True, False])
def test_tokens_are_the_first_of_the_tokenizer(by_word):
    texts = ["Hearts attack.  heart", "", "unknown \ud800 hearts heart", "w1 " * 50]
    ids = TokenIds(tokenizer(by_word).to_str(), 6)
    for _ in range(2):  # new words, then known ones
        found = [some.tolist() for some in ids.of(texts)]
        assert [[WORDS[number] for number in row] for row in found] == [
            ["heart", "##s", "attack", ".", "heart"],
            [],
            ["[UNK]", "[UNK]", "heart", "##s", "heart"],
            ["w1"] * 6,
        ]


def test_a_document_is_the_direction_of_the_sum_of_its_rows():
    random = np.random.default_rng(1)
    table, basis = random.normal(size=(len(WORDS), 8)).astype(np.float32), np.eye(12, 8, dtype=np.float32)
    static = StaticVectors.of(TokenIds(tokenizer().to_str(), 100), table, basis)
    found = static.documents(["heart attack heart", "", "w7"]).astype(float)
    heart, attack = table[WORDS.index("heart")], table[WORDS.index("attack")]
    expected = 2 * heart + attack
    assert found[0] / np.linalg.norm(found[0]) == pytest.approx(expected / np.linalg.norm(expected), abs=0.01)
    assert found[1].tolist() == [0.0] * 8 and np.abs(found[[0, 2]]).max(axis=1).tolist() == [127, 127]
    question = random.normal(size=(1, 12)).astype(np.float32)
    assert static.questions(question)[0] == pytest.approx(question[0, :8] / np.linalg.norm(question[0, :8]), abs=1e-3)


def test_fitted_rows_estimate_the_models_vectors_of_other_texts():
    random = np.random.default_rng(2)
    true = random.normal(size=(len(WORDS), 24)).astype(np.float32)
    ids = TokenIds(tokenizer().to_str(), 100)

    def vectors(texts):
        found = np.stack([true[some].mean(axis=0) for some in ids.of(texts)])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    texts, others = random_texts(1500, 3), random_texts(50, 4)
    static = fit(ids, np.zeros_like(true), texts, vectors(texts))
    goals = static.questions(vectors(others))
    found = static.documents(others).astype(float)
    cosines = (goals * found).sum(axis=1) / np.linalg.norm(found, axis=1)
    assert cosines.min() > 0.97
    assert (goals[::-1] * found).sum(axis=1).mean() / np.linalg.norm(found, axis=1).mean() < 0.5


def test_a_token_that_no_text_has_keeps_its_start():
    random = np.random.default_rng(5)
    start = random.normal(size=(len(WORDS), 6)).astype(np.float32)
    texts = random_texts(200, 6)
    goals = random.normal(size=(200, 6)).astype(np.float32)
    goals /= np.linalg.norm(goals, axis=1, keepdims=True)
    static = fit(TokenIds(tokenizer().to_str(), 100), start, texts, goals)
    # The directions are a rotation here, so lengths and angles between questions tell what is in a row.
    expected = start[WORDS.index("heart")] - start.mean(axis=0) + goals.mean(axis=0)
    found = static.documents(["heart"]).astype(float)[0]
    assert found @ static.questions(expected[None])[0] / np.linalg.norm(found) > 0.999


def test_written_and_read_again(tmp_path):
    random = np.random.default_rng(7)
    table = random.normal(size=(len(WORDS), 8)).astype(np.float32)
    static = StaticVectors.of(TokenIds(tokenizer().to_str(), 4), table, random.normal(size=(12, 8)).astype(np.float32))
    static.write(tmp_path / "static")
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    again = StaticVectors.read(tmp_path / "static", tmp_path / "tokenizer.json", fitted=9)
    texts = random_texts(5, 8)
    assert (again.fitted, again.dimension) == (9, 8)
    assert again.documents(texts).tolist() == static.documents(texts).tolist()
    (tmp_path / "static").write_bytes((tmp_path / "static").read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded"):
        StaticVectors.read(tmp_path / "static", tmp_path / "tokenizer.json", fitted=9)


def test_made_of_the_tokens_alone():
    random = np.random.default_rng(9)
    tokens = TokenIds(tokenizer().to_str(), 100)
    counts = tokens.counts(["heart attack w1", "heart w2"])
    assert {WORDS[number]: counts[number] for number in np.flatnonzero(counts)} == {
        "heart": 2, "attack": 1, "w1": 1, "w2": 1
    }  # fmt: skip
    own = {word: random.normal(size=6).astype(np.float32) for word in ("w1", "w2", "heart", "attack")}
    static = from_vocabulary(tokens, counts, np.stack(list(own.values())), articles=2)
    mean = np.mean(list(own.values()), axis=0)
    # p is two fifths for one and a fifth for the other; the directions are a rotation here.
    expected = sum((own[word] - mean) * 0.001 / (0.001 + share) for word, share in (("heart", 0.4), ("w2", 0.2)))
    found = static.documents(["heart w2 w7", "w7"]).astype(float)
    assert found[0] @ static.questions(expected[None])[0] / np.linalg.norm(found[0]) > 0.999
    assert found[1].tolist() == [0] * 6
    again = static_of(static.fingerprint, lambda _: static.content())
    assert again.documents(["heart w2", "attack"]).tolist() == static.documents(["heart w2", "attack"]).tolist()
    assert (again.articles, again.fitted, again.fingerprint) == (2, 0, static.fingerprint)
    other = from_vocabulary(tokens, counts, np.stack(list(own.values()))[::-1], articles=2)
    with pytest.raises(ValueError, match="not the one that was stored"):
        static_of(other.fingerprint, lambda _: static.content())


def test_fitting_gives_rows_to_tokens_that_had_none():
    random = np.random.default_rng(10)
    true = random.normal(size=(len(WORDS), 24)).astype(np.float32)
    tokens = TokenIds(tokenizer().to_str(), 100)

    def vectors(texts):
        found = np.stack([true[some].mean(axis=0) for some in tokens.of(texts)])
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    counts = tokens.counts(["w1 w2 w3 heart"])
    first = from_vocabulary(tokens, counts, true[np.flatnonzero(counts)], articles=1)
    texts, others = random_texts(1500, 11), random_texts(50, 12)
    static = first.fitted_to(texts, vectors(texts))
    found = static.documents(others).astype(float)
    goals = static.questions(vectors(others))
    assert ((goals * found).sum(axis=1) / np.linalg.norm(found, axis=1)).min() > 0.95
    assert (static.articles, static.fitted) == (1500, 1500)
    assert static.documents(["heart"]).any() and not static.documents(["attack"]).any()


def test_texts_of_a_vocabulary():
    tokens = TokenIds(tokenizer().to_str(), 9)
    assert tokens.texts_of(range(len(WORDS) - 5, len(WORDS))) == ["heart", "s", "attack", ".", "3"]


def test_the_built_in_ones_tell_related_texts_from_others():
    found = (
        builtin_static()
        .documents(
            [
                "Aspirin for the prevention of colorectal cancer",
                "Acetylsalicylic acid and bowel tumours",
                "Wheat genetics",
            ]
        )
        .astype(float)
    )
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2
