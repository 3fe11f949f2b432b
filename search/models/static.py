"""Static models (the Model2Vec layout): the vector of a text is the mean of its tokens' rows in a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.models.layout import UNLIMITED, Layout, cannot_load
from search.models.tokens import Text, valid_unicode
from search.models.weights import read_weights

__all__ = ["StaticBackend", "static_folder"]

#: Texts that are looked up together.
_WINDOW = 1024
#: Words whose tokens are remembered; a year of PubMed has about a million distinct words, most of them once.
_REMEMBERED_WORDS = 500_000


def static_folder(layout: Layout) -> Path | None:
    """Return the folder that holds a static model's table and tokenizer, or None if the layout is of no static model.

    It is the model's folder as Model2Vec saves it, or the folder of a StaticEmbedding module of sentence-transformers
    if nothing but normalization follows it.
    """
    if layout.model_type == "model2vec":
        return layout.folder
    kinds = [module.kind for module in layout.modules if module.kind != "Normalize"]
    return layout.transformer if layout.first == "StaticEmbedding" and not kinds else None


class StaticBackend:
    """A table of token vectors, read into memory."""

    name = "static"
    precision = "fp32"

    def __init__(self, folder: Path, layout: Layout) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._table = _read_table(folder)[:, : layout.dimension]
        except Exception as error:  # tokenizers and json each raise their own
            raise cannot_load(folder, error) from error
        self._tokenizer.no_padding()
        self._prompts = layout.prompts
        # sentence-transformers cuts a text where the tokenizer's file says so; Model2Vec never does.
        is_cut = self._tokenizer.truncation is not None and layout.model_type != "model2vec"
        if not is_cut:
            self._tokenizer.no_truncation()
        self._by_word = not is_cut and _treats_words_alone(self._tokenizer)
        self._words: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self.dimension = int(self._table.shape[1])
        self.max_length = UNLIMITED

    def embed(self, texts: Sequence[Text], kind: str) -> npt.NDArray[np.float32]:
        """Return the mean of each text's token vectors, float32 (texts, dimension); zeros for a text without tokens."""
        prompt = self._prompts[kind]
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _WINDOW):
            window = [valid_unicode(f"{prompt}{text}") for text in texts[start : start + _WINDOW]]
            for row, ids in enumerate(self._token_ids(window), start):
                if ids:
                    vectors[row] = self._table.take(ids, 0).sum(0) / len(ids)
        return vectors

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        if not self._by_word:
            return self._tokenize(texts)
        split = [text.split(" ") for text in texts]
        with self._lock:
            known = self._learned({word for words in split for word in words})
            return [[token for word in words for token in known[word]] for words in split]

    def _learned(self, words: set[str]) -> dict[str, list[int]]:
        """Return the tokens of all words met so far, `words` among them."""
        new = words - self._words.keys()
        if len(self._words) + len(new) > _REMEMBERED_WORDS:
            self._words, new = {}, words
        ordered = list(new)
        self._words.update(zip(ordered, self._tokenize(ordered), strict=True))
        return self._words

    def _tokenize(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _treats_words_alone(tokenizer: Any) -> bool:
    """Whether the tokens of a word between blanks never depend on its neighbours, so that they can be remembered.

    So it is with BERT's tokenizers, which are those of the published static models; others are not looked into.
    """
    description = json.loads(tokenizer.to_str())
    kinds = [(description.get(part) or {}).get("type") for part in ("pre_tokenizer", "normalizer", "model")]
    return kinds[0] == "BertPreTokenizer" and kinds[1] in (None, "BertNormalizer") and kinds[2] == "WordPiece"


def _read_table(folder: Path) -> npt.NDArray[np.float32]:
    """Return the row of each token id (tokens, dimension): Model2Vec may share rows and weigh them by token."""
    tensors = read_weights(folder)
    table = tensors["embedding.weight"] if "embedding.weight" in tensors else tensors["embeddings"]
    if "mapping" in tensors:
        table = table[tensors["mapping"]]
    if "weights" in tensors:
        table = table * tensors["weights"].astype(np.float32)[:, None]
    return np.ascontiguousarray(table, np.float32)
