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
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from search.errors import ModelError
from search.models.tokens import valid_unicode
from search.models.vectors import normalize

__all__ = [
    "MOST_TOKENS",
    "STATIC_DIMENSION",
    "STATIC_FILE",
    "StaticVectors",
    "TokenIds",
    "builtin_static",
    "fit",
    "from_vocabulary",
    "static_dimension",
    "static_of",
]

#: Dimensions of a static vector, or those of the model where it has fewer.
STATIC_DIMENSION = 256

#: Tokens of a text that count, though its model may read more.
MOST_TOKENS = 512

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
_NO_IDS = np.empty(0, np.uint32)

#: To how many articles those of the built-in model were fitted.
_BUILTIN_FITTED = 31_108

#: Those of a few indexes are kept in memory.
_kept: LRUCache[str, StaticVectors] = LRUCache(4)
_kept_lock = threading.Lock()


class TokenIds:
    """The first token numbers of texts, without special tokens; those of words met before are looked up."""

    def __init__(self, tokenizer_json: str, length: int) -> None:
        """Take the content of a tokenizer.json."""
        from tokenizers import Tokenizer

        self.tokenizer_json = tokenizer_json
        self.length = length
        self._tokenizer: Any = Tokenizer.from_str(tokenizer_json)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        #: One more than the highest token number: some vocabularies have gaps.
        self.vocabulary = max(self._tokenizer.get_vocab().values(), default=0) + 1
        self._by_word = _splits_at_blanks(self._tokenizer)
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

    def counts(self, texts: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return how often each token of the vocabulary is among those of some texts: (tokens,) int64."""
        counts, rest = np.zeros(self.vocabulary, np.int64), iter(texts)
        while some := list(islice(rest, _WINDOW)):
            counts += np.bincount(np.concatenate([*self.of(some), _NO_IDS]), minlength=self.vocabulary)
        return counts

    def texts_of(self, numbers: Iterable[int]) -> list[str]:
        """Return the texts of some tokens, without the marks of a start or a continuation."""
        return [self._text_of(number) for number in numbers]

    def _text_of(self, number: int) -> str:
        name: str = self._tokenizer.id_to_token(number) or ""
        if self._tokenizer.decoder is not None and not name.startswith("##"):
            # Byte-level tokenizers name a token by characters that stand for its bytes.
            name = self._tokenizer.decode([number], skip_special_tokens=False) or name
        return name.removeprefix("##").lstrip("\u2581\u0120").strip() or name

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
    """The rows of tokens and the directions, (model's dimension, dimension), with the tokenizer that finds the tokens.

    `articles` is of how many articles the tokens are that have a row, `fitted` to how many articles' vectors the rows
    were fitted; 0 if they are the model's vectors of the tokens alone.
    """

    def __init__(
        self,
        tokens: TokenIds | Callable[[], TokenIds],
        codes: npt.NDArray[np.int8],
        scale: _Float,
        basis: _Float,
        *,
        numbers: npt.NDArray[np.uint32] | None = None,
        articles: int = 0,
        fitted: int = 0,
        tokenizer: bytes = b"",
    ) -> None:
        """Take a table of `codes`, (rows, dimension) int8, times `scale`, (rows, 1).

        `numbers` are the tokens of the rows, ascending, if not every token has one; `tokenizer` is the content of the
        tokenizer.json, empty if it is kept elsewhere.
        """
        self._given = tokens
        self._codes, self._scale, self._basis = codes, scale, basis
        self._numbers = numbers
        self._tokenizer = tokenizer
        self.articles, self.fitted = articles, fitted
        self.dimension = int(codes.shape[1])

    @classmethod
    def of(
        cls,
        tokens: TokenIds,
        table: _Float,
        basis: _Float,
        *,
        numbers: npt.NDArray[np.uint32] | None = None,
        articles: int = 0,
        fitted: int = 0,
    ) -> StaticVectors:
        """Return those of a table of rows, float32, rounded to a byte a number."""
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
        codes = np.round(table / scale).astype(np.int8)
        basis = basis.astype(np.float16).astype(np.float32)
        content = tokens.tokenizer_json.encode()
        return cls(tokens, codes, scale, basis, numbers=numbers, articles=articles, fitted=fitted, tokenizer=content)

    @cached_property
    def tokens(self) -> TokenIds:
        """What finds the tokens of a text."""
        return self._given if isinstance(self._given, TokenIds) else self._given()

    @cached_property
    def _table(self) -> _Float:
        table: _Float = self._codes * self._scale
        # A token without a row has the last, which is zero.
        return table if self._numbers is None else np.concatenate([table, np.zeros((1, self.dimension), np.float32)])

    @cached_property
    def _row_of(self) -> npt.NDArray[np.int64] | None:
        if self._numbers is None:
            return None
        rows = np.full(max(self.tokens.vocabulary, int(self._numbers.max(initial=0)) + 1), len(self._numbers), np.int64)
        rows[self._numbers] = np.arange(len(self._numbers))
        return rows

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that stand for all that decides vectors: those of two are comparable only if it is the same."""
        digest = hashlib.blake2b(digest_size=16)
        for part in (self._codes, self._scale, self._basis, self._numbers):
            digest.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
        digest.update(self._tokenizer)
        return digest.hexdigest()

    def documents(self, texts: Sequence[str]) -> npt.NDArray[np.int8]:
        """Return the static vector of each text, int8 (texts, dimension), the largest number of a row being 127.

        Their length has no meaning. A text without tokens that have a row gets zeros.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        row_of = self._row_of
        for start in range(0, len(texts), _WINDOW):
            for row, ids in enumerate(self.tokens.of(texts[start : start + _WINDOW]), start):
                self._table.take(ids if row_of is None else row_of.take(ids), 0).sum(0, out=vectors[row])
        largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-12)
        codes: npt.NDArray[np.int8] = np.round(vectors * (127 / largest)).astype(np.int8)
        return codes

    def questions(self, vectors: _Float) -> _Float:
        """Return the model's own vectors (n, its dimension) in the directions: float32 (n, dimension), unit rows."""
        return normalize(vectors @ self._basis)

    def estimated(self, rows: _Float) -> _Float:
        """Return what the model's vectors of documents may be, from static ones: (n, its dimension), unit rows."""
        return normalize(rows @ self._basis.T)

    def fitted_to(self, texts: Sequence[str], vectors: _Float) -> StaticVectors:
        """Return these fitted to the model's vectors of texts, (texts, model's dimension) float32 with unit rows."""
        table: _Float = self._codes * self._scale
        start = table @ self._basis.T
        return fit(self.tokens, start, texts, vectors, self._numbers)

    def content(self) -> bytes:
        """Return all of it as safetensors: a byte a number, and a scale a row."""
        from safetensors.numpy import save

        return save(self._parts())

    def write(self, file: Path) -> None:
        """Write table and directions as safetensors; the tokenizer is the model's, and kept elsewhere."""
        from safetensors.numpy import save_file

        parts = self._parts()
        save_file({name: parts[name] for name in ("codes", "scale", "basis", "length")}, str(file))

    def _parts(self) -> dict[str, Any]:
        parts = {
            "codes": self._codes,
            "scale": self._scale,
            "basis": self._basis.astype(np.float16),
            "length": np.array([self.tokens.length], np.int64),
            "counts": np.array([self.articles, self.fitted], np.int64),
            "tokenizer": np.frombuffer(self._tokenizer, np.uint8),
        }
        return parts if self._numbers is None else {**parts, "numbers": self._numbers}

    @classmethod
    def read(cls, file: Path, tokenizer: Path, *, fitted: int) -> StaticVectors:
        """Read what `write` wrote; `tokenizer` is the model's tokenizer.json. Raises ModelError if one is damaged."""
        from safetensors.numpy import load_file

        try:
            parts = load_file(str(file))
            length = int(parts["length"][0])
            basis = parts["basis"].astype(np.float32)
            if not tokenizer.is_file():
                raise FileNotFoundError(f"{tokenizer} is missing")
            return cls(
                lambda: TokenIds(tokenizer.read_text("utf-8"), length),
                parts["codes"], parts["scale"], basis, articles=fitted, fitted=fitted,
            )  # fmt: skip
        except Exception as error:  # safetensors raises its own
            raise ModelError(f"the static vectors in {file} cannot be loaded: {error}. Install again.") from error

    @classmethod
    def from_content(cls, content: bytes) -> StaticVectors:
        """Return what `content` gave. Raises ValueError if it is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            parts = load(content)
            tokenizer, length = parts["tokenizer"].tobytes(), int(parts["length"][0])
            articles, fitted = parts["counts"].tolist()
            basis = parts["basis"].astype(np.float32)
            return cls(
                lambda: TokenIds(tokenizer.decode(), length),
                parts["codes"], parts["scale"], basis,
                numbers=parts.get("numbers"), articles=articles, fitted=fitted, tokenizer=tokenizer,
            )  # fmt: skip
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(f"the static model cannot be read ({error})") from error


@cache
def builtin_static() -> StaticVectors:
    """Return those of the built-in model, which come with this package. Raises ModelError if they are damaged."""
    folder = Path(__file__).parent
    file = folder / "builtin_static" / STATIC_FILE
    return StaticVectors.read(file, folder / "builtin" / "tokenizer.json", fitted=_BUILTIN_FITTED)


def static_of(fingerprint: str, read: Callable[[str], bytes]) -> StaticVectors:
    """Return the static vectors of a fingerprint: the built-in model's, or what `read` gives of it.

    They are kept, for a process asks for the same again and again. Raises ValueError if they are damaged.
    """
    if fingerprint == builtin_static().fingerprint:
        return builtin_static()
    with _kept_lock:
        if fingerprint not in _kept:
            static = StaticVectors.from_content(read(fingerprint))
            if static.fingerprint != fingerprint:
                raise ValueError("the static model is not the one that was stored")
            _kept[fingerprint] = static
        return _kept[fingerprint]


def static_dimension(dimension: int) -> int:
    """Return the dimension of static vectors for a model's vectors of some dimension."""
    return min(dimension, STATIC_DIMENSION)


def from_vocabulary(
    tokens: TokenIds, counts: npt.NDArray[np.int64], vectors: _Float, *, articles: int
) -> StaticVectors:
    """Return static vectors that need nothing but the model's vectors of tokens, each as a text of its own.

    `counts` says how often each token of the vocabulary is in texts, `vectors`, (tokens that are, model's dimension)
    float32, are those of the tokens that are in any, in their order.
    """
    numbers = np.flatnonzero(counts).astype(np.uint32)
    basis = _basis(vectors)
    rows = vectors @ basis
    rows = (rows - rows.mean(axis=0)) * _weights(counts)[numbers, None]
    return StaticVectors.of(tokens, rows, basis, numbers=numbers, articles=articles)


def fit(
    tokens: TokenIds,
    start: _Float,
    texts: Sequence[str],
    vectors: _Float,
    numbers: npt.NDArray[np.uint32] | None = None,
) -> StaticVectors:
    """Fit the rows of tokens to the model's own vectors of some texts, (texts, model's dimension) float32, unit rows.

    `start`, (rows, model's dimension), are the model's vectors of the entries of its vocabulary, of all or of those of
    `numbers`, ascending. A token that no text has keeps its own, one that has none begins at their mean. Ridge
    regression towards the start, by conjugate gradients. Deterministic.
    """
    from scipy.sparse import csr_matrix

    ids = tokens.of(texts)
    lengths = np.array([len(some) for some in ids])
    flat = np.concatenate([*ids, _NO_IDS]).astype(np.int64)
    weights = _weights(np.bincount(flat, minlength=tokens.vocabulary))
    basis = _basis(vectors)
    goals = vectors @ basis
    mean = goals.mean(axis=0)
    rows = start @ basis
    rows -= rows.mean(axis=0)
    if numbers is not None:
        used = np.union1d(numbers, flat.astype(np.uint32))
        grown = np.zeros((len(used), rows.shape[1]), np.float32)
        grown[np.searchsorted(used, numbers)] = rows
        rows, numbers, weights = grown, used, weights[used]
        flat = np.searchsorted(used, flat)
    shares = csr_matrix((weights[flat], flat, np.concatenate([[0], np.cumsum(lengths)])), (len(ids), len(rows)))
    totals = np.maximum(np.asarray(shares.sum(axis=1)).ravel(), 1e-12)
    shares = csr_matrix(shares.multiply((1 / totals)[:, None]), dtype=np.float32)
    rows = (_ridge(shares, goals - mean, rows) + mean) * weights[: len(rows), None]
    return StaticVectors.of(tokens, rows, basis, numbers=numbers, articles=len(texts), fitted=len(texts))


def _weights(counts: npt.NDArray[np.int64]) -> _Float:
    weights: _Float = (_RARITY / (_RARITY + counts / max(counts.sum(), 1))).astype(np.float32)
    return weights


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
