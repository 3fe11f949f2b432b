"""From texts to token ids, truncated exactly as the model's own tokenizer would, and into batches without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from search.errors import ModelError

__all__ = [
    "Text",
    "TextTokenizer",
    "Tokens",
    "checked_texts",
    "pad_batch",
    "padded_length",
    "plan_batches",
    "valid_unicode",
]

#: What is encoded as one: a text, or a pair of texts.
Text: TypeAlias = "str | tuple[str, str]"

#: Texts longer than this many characters a token are tokenized piece by piece until they fill the model.
_CHARACTERS_PER_TOKEN = 16
#: Tokens at the end of a piece that are not trusted: the cut may have changed them.
_UNSURE_TOKENS = 16
#: What runs a model keeps something for each shape that it has met: to meet few, texts are padded to such a multiple.
_LENGTH_STEP = 8


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text or pair; `types` has a 1 where a token is of the second text of a pair."""

    ids: npt.NDArray[np.int64]
    types: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


def checked_texts(texts: Sequence[Text], *, pairs: bool = False) -> list[Text]:
    """Return the texts as a list; raises ModelError if it is a single string or holds anything but strings.

    With `pairs`, tuples of two strings pass too.
    """
    if isinstance(texts, (str, bytes)):
        raise ModelError("a list of texts is needed, not a single text: put it in a list.")
    result = list(texts)
    for position, text in enumerate(result):
        is_pair = pairs and isinstance(text, tuple) and len(text) == 2 and all(isinstance(part, str) for part in text)
        if not isinstance(text, str) and not is_pair:
            raise ModelError(f"text {position} is a {type(text).__name__}, not a string: only text can be encoded.")
    return result


class TextTokenizer:
    """A tokenizer read from a `tokenizer.json`, without padding."""

    def __init__(self, file: Path, truncation_side: str = "right") -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._truncation_side = truncation_side

    def encode(self, texts: Sequence[Text], max_length: int) -> list[Tokens]:
        """Return the tokens of each text or pair, special tokens included, at most `max_length` of them.

        Of a pair the longer text is truncated first.
        """
        self._tokenizer.no_truncation()
        fitting = [
            self._fitting_start(text, max_length)
            if isinstance(text, str)
            else tuple(self._fitting_start(part, max_length) for part in text)
            for text in texts
        ]
        self._truncate_to(max_length)
        return [
            Tokens(np.asarray(encoding.ids, np.int64), np.asarray(encoding.type_ids, np.int64))
            for encoding in self._tokenizer.encode_batch_fast(fitting)
        ]

    def _truncate_to(self, max_length: int) -> None:
        self._tokenizer.enable_truncation(max_length, strategy="longest_first", direction=self._truncation_side)

    def _fitting_start(self, text: str, max_length: int) -> str:
        """Return valid text whose first `max_length` tokens are those of `text`: a start of it where it is very long.

        The start ends before white space, where no tokenizer joins what stands on both sides, and gives more tokens
        than are needed; where it does not (white space without end, one huge word), a longer start is tried.
        """
        text = valid_unicode(text)
        size = max_length * _CHARACTERS_PER_TOKEN
        if self._truncation_side != "right":
            return text
        while len(text) > 2 * size:
            words = text[:size].rsplit(None, 1)
            start = words[0] if len(words) == 2 else ""
            if len(self._tokenizer.encode(start, add_special_tokens=False)) >= max_length + _UNSURE_TOKENS:
                return start
            size *= 4
        return text


def valid_unicode(text: str) -> str:
    """Return the text with lone surrogates, which no tokenizer takes, replaced by question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def padded_length(length: int, longest: int) -> int:
    """Return to how many tokens a text is padded where few shapes should occur; `longest` is what the model takes."""
    return min(-(-length // _LENGTH_STEP) * _LENGTH_STEP, longest)


def plan_batches(
    lengths: Sequence[int], max_tokens: int, max_items: int, *, mixed: bool = True, doubling: bool = False
) -> list[npt.NDArray[np.intp]]:
    """Group texts of like length: the longest first, at most `max_tokens` tokens with padding and `max_items` texts.

    Returns the positions of each batch's texts; a text longer than `max_tokens` is a batch of its own. Without `mixed`
    a batch holds texts of one length only; with `doubling` it holds 1, 2, 4, 8 or so on of them.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    batches = []
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        size = max(1, min(max_items, max_tokens // max(1, longest), len(order) - start))
        if not mixed:
            size = sum(lengths[position] == longest for position in order[start : start + size])
        if doubling:
            size = 1 << (size.bit_length() - 1)
        batches.append(order[start : start + size])
        start += size
    return batches


def pad_batch(
    batch: Sequence[Tokens], pad_id: int, padding_side: str, length: int | None = None
) -> dict[str, npt.NDArray[np.int64]]:
    """Return `input_ids`, `attention_mask` and `token_type_ids` of the batch as (texts, `length` or longest) arrays."""
    longest = length or max(len(tokens) for tokens in batch)
    ids = np.full((len(batch), longest), pad_id, np.int64)
    mask = np.zeros_like(ids)
    types = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        columns = slice(longest - len(tokens), longest) if padding_side == "left" else slice(0, len(tokens))
        ids[row, columns] = tokens.ids
        mask[row, columns] = 1
        types[row, columns] = tokens.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
