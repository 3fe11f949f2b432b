"""Static vectors: what a model would say of a document, estimated from the document's tokens; no transformer runs.

A table holds a row for each token of the model's vocabulary. The static vector of a document is the direction of the
sum of its tokens' rows. Rows are fitted by `fit` so that this sum points to where the model's own vector of the
document points, in the 256 directions (`basis`) in which the model's vectors differ most. A question is not
estimated: the model encodes it, and its vector is projected onto the same directions. So the cosine of the two
estimates the model's own cosine.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.tokens import valid_unicode
from search.models.vectors import normalize

__all__ = [
    "STATIC_DIMENSION",
    "STATIC_FILE",
    "StaticVectors",
    "TokenIds",
    "builtin_static",
    "fit",
    "static_dimension",
    "static_of",
    "vocabulary_texts",
]

#: Dimensions of a static vector, or those of the model where it has fewer.
STATIC_DIMENSION = 256

#: The name of the file that holds them.
STATIC_FILE = "static_vectors.safetensors"

#: A token that makes up a share p of all text counts by RARITY / (RARITY + p).
_RARITY = 1e-3
#: Ridge regression: the weight of staying near the starting rows, and how many steps of conjugate gradients.
_RIDGE, _STEPS = 1e-3, 25

#: Texts that are estimated together.
_WINDOW = 1024
#: Words whose tokens are kept; a year of PubMed has about a million distinct words, most of them once.
_WORDS_KEPT = 300_000

_Float = npt.NDArray[np.float32]


class TokenIds:
    """The first token numbers of texts, without special tokens; those of words met before are looked up."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.vocabulary = int(tokenizer.get_vocab_size())
        self.length = length
        self._by_word = _splits_at_blanks(tokenizer)
        self._known: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def of(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
        """Return the token numbers of each text, at most `length` of them: of what follows, the model says nothing."""
        valid = [valid_unicode(text) for text in texts]
        if not self._by_word:
            encoded = self._tokenizer.encode_batch_fast(valid, add_special_tokens=False)
            return [np.array(entry.ids[: self.length], np.uint32) for entry in encoded]
        split = [text.split(" ", self.length)[: self.length] for text in valid]
        with self._lock:
            self._learn(set(chain.from_iterable(split)))
            look_up = self._known.__getitem__
            return [np.frombuffer(b"".join(map(look_up, words)), np.uint32)[: self.length] for words in split]

    def _learn(self, words: set[str]) -> None:
        new = words - self._known.keys()
        if len(self._known) + len(new) > _WORDS_KEPT:
            self._known, new = {}, words
        ordered = list(new)
        encoded = self._tokenizer.encode_batch_fast(ordered, add_special_tokens=False)
        self._known.update(
            (word, np.array(entry.ids, np.uint32).tobytes()) for word, entry in zip(ordered, encoded, strict=True)
        )


class StaticVectors:
    """The rows of all tokens, (tokens, dimension) float32, and the directions, (model's dimension, dimension)."""

    def __init__(self, tokens: TokenIds, table: _Float, basis: _Float) -> None:
        self._tokens = tokens
        self._scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
        self._codes = np.round(table / self._scale).astype(np.int8)
        self._table = self._codes * self._scale
        self._basis = basis.astype(np.float16).astype(np.float32)
        self.dimension = int(table.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that stand for table and directions: vectors of two are comparable only if it is the same."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self._codes, self._scale, self._basis):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    def documents(self, texts: Sequence[str]) -> npt.NDArray[np.int8]:
        """Return the static vector of each text, int8 (texts, dimension), the largest number of a row being 127.

        Their length has no meaning. A text without tokens gets zeros.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _WINDOW):
            for row, ids in enumerate(self._tokens.of(texts[start : start + _WINDOW]), start):
                self._table.take(ids, 0).sum(0, out=vectors[row])
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-12)
        codes: npt.NDArray[np.int8] = np.round(vectors * (127 / largest)).astype(np.int8)
        return codes

    def questions(self, vectors: _Float) -> _Float:
        """Return the model's own vectors (n, its dimension) in the directions: float32 (n, dimension), unit rows."""
        return normalize(vectors @ self._basis)

    def estimated(self, rows: _Float) -> _Float:
        """Return what the model's vectors of documents may be, from static ones: (n, its dimension), unit rows."""
        return normalize(rows @ self._basis.T)

    def write(self, file: Path) -> None:
        """Write table and directions as safetensors: a byte a number, and a scale a row."""
        from safetensors.numpy import save_file

        length = np.array([self._tokens.length], np.int64)
        parts = {"codes": self._codes, "scale": self._scale, "basis": self._basis.astype(np.float16), "length": length}
        save_file(parts, str(file))

    @classmethod
    def read(cls, file: Path, tokenizer: Path) -> StaticVectors:
        """Read what `write` wrote; `tokenizer` is the model's tokenizer.json. Raises ModelError if one is damaged."""
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        try:
            parts = load_file(str(file))
            tokens = TokenIds(Tokenizer.from_file(str(tokenizer)), int(parts["length"][0]))
            table = parts["codes"] * parts["scale"].astype(np.float32)
            if len(table) < tokens.vocabulary:
                raise ValueError(f"it has {len(table)} rows for {tokens.vocabulary} tokens")
            return cls(tokens, table, parts["basis"].astype(np.float32))
        except Exception as error:  # safetensors and tokenizers each raise their own
            raise ModelError(f"the static vectors in {file} cannot be loaded: {error}. Install again.") from error


@cache
def builtin_static() -> StaticVectors:
    """Return those of the built-in model, which come with this package. Raises ModelError if they are damaged."""
    folder = Path(__file__).parent
    return StaticVectors.read(folder / "builtin_static" / STATIC_FILE, folder / "builtin" / "tokenizer.json")


def static_of(fingerprint: str) -> StaticVectors | None:
    """Return the static vectors with this fingerprint; None if it is empty, or of others than this program has."""
    if fingerprint and fingerprint == builtin_static().fingerprint:
        return builtin_static()
    return None


def static_dimension(dimension: int) -> int:
    """Return the dimension of static vectors for a model's vectors of some dimension."""
    return min(dimension, STATIC_DIMENSION)


def vocabulary_texts(tokenizer: Any) -> list[str]:
    """Return the text of each token of a vocabulary, without the marks of a start or a continuation."""
    names = [tokenizer.id_to_token(number) or "" for number in range(tokenizer.get_vocab_size())]
    return [name.removeprefix("##").lstrip("\u2581\u0120") for name in names]


def fit(tokens: TokenIds, start: _Float, texts: Sequence[str], vectors: _Float) -> StaticVectors:
    """Fit the rows of tokens to the model's own vectors of some texts, (texts, model's dimension) float32, unit rows.

    `start`, (tokens, model's dimension), are the model's vectors of the entries of its vocabulary; a token that no
    text has keeps its own. Ridge regression towards the start, by conjugate gradients. Deterministic.
    """
    from scipy.sparse import csr_matrix

    ids = tokens.of(texts)
    lengths = np.array([len(some) for some in ids])
    flat = np.concatenate([*ids, np.empty(0, np.uint32)]).astype(np.int64)
    weights = _token_weights(flat, len(start))
    shares = csr_matrix((weights[flat], flat, np.concatenate([[0], np.cumsum(lengths)])), (len(ids), len(start)))
    totals = np.maximum(np.asarray(shares.sum(axis=1)).ravel(), 1e-12)
    shares = csr_matrix(shares.multiply((1 / totals)[:, None]), dtype=np.float32)
    basis = _basis(vectors)
    goals = vectors @ basis
    mean = goals.mean(axis=0)
    rows = start @ basis
    rows = _ridge(shares, goals - mean, rows - rows.mean(axis=0)) + mean
    return StaticVectors(tokens, rows * weights[:, None], basis)


def _token_weights(ids: npt.NDArray[np.int64], vocabulary: int) -> _Float:
    counts = np.bincount(ids, minlength=vocabulary)
    return (_RARITY / (_RARITY + counts / max(len(ids), 1))).astype(np.float32)


def _basis(vectors: _Float) -> _Float:
    """Return the directions in which the vectors are longest, (dimension, at most STATIC_DIMENSION)."""
    _, directions = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    return np.ascontiguousarray(directions[:, ::-1][:, :STATIC_DIMENSION], np.float32)


def _ridge(shares: Any, goals: _Float, start: _Float) -> _Float:
    """Return rows X that make |shares X - goals|^2 + ridge |X - start|^2 small: each column by conjugate gradients."""
    back = shares.T.tocsr()
    rows = start.astype(np.float32, copy=True)
    residual = back @ (goals - shares @ rows)
    direction, size = residual.copy(), (residual**2).sum(axis=0)
    for _ in range(_STEPS):
        image = back @ (shares @ direction) + _RIDGE * direction
        step = size / np.maximum((direction * image).sum(axis=0), 1e-30)
        rows += step * direction
        residual -= step * image
        size, before = (residual**2).sum(axis=0), size
        direction = residual + size / np.maximum(before, 1e-30) * direction
    return rows


def _splits_at_blanks(tokenizer: Any) -> bool:
    """Whether the tokens of a word between blanks never depend on its neighbours: so it is with BERT's tokenizers."""
    import json

    description = json.loads(tokenizer.to_str())
    kinds = [(description.get(part) or {}).get("type") for part in ("pre_tokenizer", "normalizer", "model")]
    return kinds[0] == "BertPreTokenizer" and kinds[1] in (None, "BertNormalizer") and kinds[2] == "WordPiece"
