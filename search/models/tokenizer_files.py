"""A model's tokenizer as its files describe it, in one `tokenizer.json`: read as transformers reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search.models.layout import Layout, read_json

__all__ = ["TokenizerFiles", "tokenizer_inputs", "truncation_side"]

#: Tokenizers whose normalizer transformers rebuilds from the options in tokenizer_config.json.
_BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "MPNetTokenizer", "ElectraTokenizer")
_BYTE_LEVEL_CLASSES = ("RobertaTokenizer",)
_CLASS_OF_MODEL = {
    "bert": "BertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
}
_BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_ROBERTA_TOKENS = {
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}


def tokenizer_inputs(layout: Layout) -> list[Path]:
    """Return the files that decide the tokens: tokenizer.json, else the vocabulary that makes one; [] if none."""
    folder = layout.transformer
    for names in (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"), ("sentencepiece.bpe.model",)):
        if all((folder / name).is_file() for name in names):
            return [folder / name for name in names]
    return sorted(file for file in folder.glob("*.model") if file.is_file())


class TokenizerFiles:
    """The tokenizer of a layout, whatever files hold it."""

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.transformer
        self._options = read_json(self._folder / "tokenizer_config.json")
        name = str(self._options.get("tokenizer_class") or _CLASS_OF_MODEL.get(layout.model_type, ""))
        self._class = name.removesuffix("Fast")
        self._lower_case = bool(layout.settings.get("do_lower_case"))

    def to_json(self) -> str | None:
        """Return the tokenizer as a `tokenizer.json` without padding and truncation; None where it is not known how.

        Raises ValueError for a damaged file.
        """
        file = self._folder / "tokenizer.json"
        if file.is_file():
            content = json.loads(file.read_bytes())
            self._follow_options(content)
        elif (made := self._from_vocabulary()) is not None:
            content = made
        else:
            return None
        content.update(padding=None, truncation=None)
        if self._lower_case:
            _lower_first(content)
        return json.dumps(content, ensure_ascii=False)

    def _follow_options(self, content: dict[str, Any]) -> None:
        """Let the options of tokenizer_config.json overrule tokenizer.json, where transformers does."""
        normalizer, splitter = content.get("normalizer") or {}, content.get("pre_tokenizer") or {}
        if self._class in _BERT_CLASSES and normalizer.get("type") == "BertNormalizer":
            normalizer.update(self._bert_normalizer())
        if self._class in _BYTE_LEVEL_CLASSES and splitter.get("type") == "ByteLevel":
            splitter["add_prefix_space"] = bool(self._options.get("add_prefix_space", False))

    def _bert_normalizer(self) -> dict[str, Any]:
        return {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": self._options.get("tokenize_chinese_chars", True),
            "strip_accents": self._options.get("strip_accents"),
            "lowercase": self._options.get("do_lower_case", True),
        }

    def _from_vocabulary(self) -> dict[str, Any] | None:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

        tokens = self._special_tokens()
        tokenizer: Any
        if self._class in _BERT_CLASSES and (self._folder / "vocab.txt").is_file():
            lines = (self._folder / "vocab.txt").read_text("utf-8").split("\n")
            vocabulary = {line: number for number, line in enumerate(lines if lines[-1] else lines[:-1])}
            tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=tokens["unk_token"]))
            options = {key: value for key, value in self._bert_normalizer().items() if key != "type"}
            tokenizer.normalizer = normalizers.BertNormalizer(**options)
            tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
            tokenizer.decoder = decoders.WordPiece(prefix="##")
            first, last = tokens["cls_token"], tokens["sep_token"]
            tokenizer.post_processor = processors.TemplateProcessing(
                single=f"{first}:0 $A:0 {last}:0",
                pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
                special_tokens=[(first, vocabulary[first]), (last, vocabulary[last])],
            )
        elif self._class in _BYTE_LEVEL_CLASSES and (self._folder / "merges.txt").is_file():
            files = [str(self._folder / name) for name in ("vocab.json", "merges.txt")]
            vocabulary, merges = models.BPE.read_file(*files)
            tokenizer = Tokenizer(models.BPE(vocabulary, merges, fuse_unk=False))
            space = bool(self._options.get("add_prefix_space", False))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
            sep, cls = tokens["sep_token"], tokens["cls_token"]
            tokenizer.post_processor = processors.RobertaProcessing(
                (sep, vocabulary[sep]), (cls, vocabulary[cls]), True, space
            )
        else:
            return None
        tokenizer.add_special_tokens([token for token in tokens.values() if token in vocabulary])
        content: dict[str, Any] = json.loads(tokenizer.to_str())
        return content

    def _special_tokens(self) -> dict[str, str]:
        """Return the special tokens by their part, from tokenizer_config.json or special_tokens_map.json."""
        usual = _ROBERTA_TOKENS if self._class in _BYTE_LEVEL_CLASSES else _BERT_TOKENS
        if self._class == "MPNetTokenizer":
            usual = {**_ROBERTA_TOKENS, "unk_token": "[UNK]"}
        said = {**read_json(self._folder / "special_tokens_map.json"), **self._options}
        named = {part: said.get(part) or token for part, token in usual.items()}
        return {part: str(token["content"] if isinstance(token, dict) else token) for part, token in named.items()}


def truncation_side(layout: Layout) -> str:
    """Return the end at which a long text is cut off: `right`, or `left` where the files say so."""
    side = read_json(layout.transformer / "tokenizer_config.json").get("truncation_side")
    if side is None:
        cut = read_json(layout.transformer / "tokenizer.json").get("truncation")
        side = (cut or {}).get("direction", "right")
    return str(side).lower()


def _lower_first(content: dict[str, Any]) -> None:
    before = content.get("normalizer")
    steps = before["normalizers"] if before and before.get("type") == "Sequence" else [before] if before else []
    if not any(step.get("type") == "Lowercase" for step in steps):
        content["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, *steps]}
