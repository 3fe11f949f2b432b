"""Static models (the Model2Vec layout): the vector of a text is the mean of its tokens' rows in a table."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.tokens import valid_unicode

__all__ = ["StaticBackend", "static_folder"]

#: There is no limit to the length of a text; this is what Model2Vec writes for that.
_MAX_LENGTH = 1_000_000
#: Texts that are looked up together.
_WINDOW = 1024
#: Words whose tokens are remembered; a year of PubMed has about a million distinct words, most of them once.
_REMEMBERED_WORDS = 500_000


def static_folder(folder: Path) -> Path | None:
    """Return the folder that holds a static model's table and tokenizer, or None if `folder` is no static model.

    It is `folder` itself as Model2Vec saves it, or the folder of a StaticEmbedding module of sentence-transformers
    if nothing but normalization follows it.
    """
    try:
        prompts = _json(folder / "config_sentence_transformers.json").get("prompts", {})
        modules = [
            (str(module["type"]).rpartition(".")[2], str(module["path"])) for module in _json(folder / "modules.json")
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        config = folder / "config.json"
        try:
            is_static = _json(config).get("model_type") == "model2vec"
        except (OSError, ValueError, AttributeError):
            return None
        return folder if is_static else None
    if not any(prompts.values()) and [name for name, _ in modules if name != "Normalize"] == ["StaticEmbedding"]:
        return folder / modules[0][1]
    return None


class StaticBackend:
    """A table of token vectors, read into memory."""

    name = "static"
    precision = "fp32"

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._table = _read_table(folder)
        except Exception as error:  # safetensors, tokenizers and json each raise their own
            raise ModelError(
                f"the static model in {folder} cannot be loaded: {error}. Fetch the folder again."
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._by_word = _treats_words_alone(self._tokenizer)
        self._words: dict[str, list[int]] = {}
        self._lock = threading.Lock()
        self.dimension = int(self._table.shape[1])
        self.max_length = _MAX_LENGTH

    def embed(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        """Return the mean of each text's token vectors, float32 (texts, dimension); zeros for a text without tokens."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _WINDOW):
            window = [valid_unicode(text) for text in texts[start : start + _WINDOW]]
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
        return [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _treats_words_alone(tokenizer: Any) -> bool:
    """Whether the tokens of a word between blanks never depend on its neighbours, so that they can be remembered.

    So it is with BERT's tokenizers, which are those of the published static models; others are not looked into.
    """
    description = json.loads(tokenizer.to_str())
    kinds = [(description.get(part) or {}).get("type") for part in ("pre_tokenizer", "normalizer", "model")]
    return kinds[0] == "BertPreTokenizer" and kinds[1] in (None, "BertNormalizer") and kinds[2] == "WordPiece"


def _read_table(folder: Path) -> npt.NDArray[np.float32]:
    """Return the row of each token id (tokens, dimension): Model2Vec may share rows and weigh them by token."""
    from safetensors.numpy import load_file

    tensors = load_file(str(folder / "model.safetensors"))
    table = tensors["embedding.weight"] if "embedding.weight" in tensors else tensors["embeddings"]
    if "mapping" in tensors:
        table = table[tensors["mapping"]]
    table = table.astype(np.float32)
    if "weights" in tensors:
        table *= tensors["weights"].astype(np.float32)[:, None]
    return np.ascontiguousarray(table)


def _json(file: Path) -> Any:
    return json.loads(file.read_bytes())
