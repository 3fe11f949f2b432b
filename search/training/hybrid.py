"""Teach a small model the hybrid ranking of a set of documents, by short texts alone.

Cosine and BM25 together rank better than either. What BM25 adds is for the greater part which words of a question
matter, and that can be learned on the side of the question: the documents' vectors stay those of the base, so a
question is compared with all documents, not with the few of a batch, and only short texts go through the model.
A few documents go with each batch and are held to the vectors they have. So model and base agree on documents, what
the base knew is part of the teacher, and nothing needs to be labelled. Pairs of short texts (a title and its
conclusion, a question and its answer) go with each batch too, each to be distinguished from the others.
"""

from __future__ import annotations

import io
import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from search.errors import TrainingError
from search.models.vectors import normalize
from search.retrieval import feedback
from search.training.bm25_matrix import BM25

__all__ = [
    "Bank",
    "HybridParameters",
    "TeachingModel",
    "TrainingQuestion",
    "encode_with_gradient",
    "load_bert",
    "teach",
]


@dataclass(frozen=True)
class TrainingQuestion:
    """A text to search with.

    `own` is the row of the document that it was taken from, which is left out of the ranking, or -1. `answer` is the
    row of a document that is known to answer it, or -1.
    """

    kind: str
    text: str
    own: int = -1
    answer: int = -1


@dataclass(frozen=True)
class HybridParameters:
    """How to teach.

    A batch is `questions` texts, `pairs` of texts that say the same (0: none) and `anchors` documents. `bm25_weight`
    and `temperature` make the teacher's distribution, `answer_weight` is the part that a known answer has in it. With
    `feedback` the teacher learns from its own first answers as a search does.
    """

    steps: int = 400
    questions: int = 48
    anchors: int = 3
    pairs: int = 32
    learning_rate: float = 7e-5
    warmup_steps: int = 20
    max_length: int = 64
    pair_length: int = 96
    anchor_length: int = 128
    frozen_layers: int = 2
    bm25_weight: float = 0.4
    temperature: float = 0.05
    answer_weight: float = 0.5
    feedback: bool = False
    anchor_weight: float = 10.0
    correlation_weight: float = 2.0
    checkpoint_steps: int = 25
    seed: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return asdict(self)


class TeachingModel(NamedTuple):
    """A model whose cosines teach: how it encodes questions, and its vectors of the documents (rows of unit length)."""

    encode: Callable[[Sequence[str]], NDArray[np.float32]]
    vectors: NDArray[np.float32]


@dataclass
class Bank:
    """The documents: texts, their BM25, and the models that teach, the base first."""

    texts: Sequence[str]
    bm25: BM25
    models: Sequence[TeachingModel]

    @property
    def vectors(self) -> NDArray[np.float32]:
        """The base's vectors, from which the documents are not to move."""
        return self.models[0].vectors

    def teacher(
        self, questions: Sequence[TrainingQuestion], parameters: HybridParameters
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the distribution over all documents that each question should have, and which documents are left out.

        It is the softmax of `mean cosine + weight * bm25 / max bm25`, with `feedback` of the same after each question
        has learned from its first answers as a search does (`search.retrieval.feedback`), mixed with the known answer.
        """
        texts = [question.text for question in questions]
        left_out = np.zeros((len(texts), len(self.texts)), dtype=bool)
        for row, question in enumerate(questions):
            if question.own >= 0:
                left_out[row, question.own] = True
        terms = self.bm25.terms(texts)
        vectors = [model.encode(texts) for model in self.models]
        ranked = self._ranked(vectors, terms, left_out, parameters.bm25_weight)
        if parameters.feedback:
            weights = _weights_of_best(ranked)
            vectors = [
                normalize(asked + feedback.MOVE * normalize(weights @ model.vectors))
                for asked, model in zip(vectors, self.models, strict=True)
            ]
            ranked = self._ranked(vectors, self.bm25.with_telling_words(terms, weights), left_out, feedback.WEIGHT)
        ranked = ranked / parameters.temperature
        ranked = np.exp(ranked - ranked.max(axis=1, keepdims=True))
        target = ranked / ranked.sum(axis=1, keepdims=True)
        for row, question in enumerate(questions):
            if question.answer >= 0:
                target[row] *= 1 - parameters.answer_weight
                target[row, question.answer] += parameters.answer_weight
        return target.astype(np.float32), left_out

    def _ranked(
        self, vectors: Sequence[NDArray[np.float32]], terms: Any, left_out: NDArray[np.bool_], bm25_weight: float
    ) -> NDArray[np.float32]:
        """Return the scores of each question (rows) with each document; -inf for those that are left out."""
        words = self.bm25.score_all(terms)
        words[left_out] = 0
        cosines = sum(asked @ model.vectors.T for asked, model in zip(vectors, self.models, strict=True))
        largest = np.maximum(words.max(axis=1, keepdims=True), 1e-6)
        ranked: NDArray[np.float32] = cosines / len(self.models) + bm25_weight * words / largest
        ranked[left_out] = -np.inf
        return ranked


def _weights_of_best(ranked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much each document (columns) teaches each question (rows): the first answers only; rows sum to 1."""
    weights = np.zeros_like(ranked)
    for row, scores in enumerate(ranked):
        best = np.argpartition(-scores, min(feedback.ANSWERS, len(scores)) - 1)[: feedback.ANSWERS]
        weights[row, best] = np.exp((scores[best] - scores.max()) / feedback.TEMPERATURE)
    normal: NDArray[np.float32] = weights / weights.sum(axis=1, keepdims=True)
    return normal


def teach(
    model: Any,
    tokenizer: Any,
    bank: Bank,
    draw: Callable[[random.Random, int], Sequence[TrainingQuestion]],
    pairs: Sequence[tuple[str, str]],
    parameters: HybridParameters,
    progress: Callable[[int, dict[str, float]], None] | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Train a transformers BERT in place.

    `draw` returns so many questions, `pairs` are texts that say the same in an order in which neighbours are alike.
    `progress` receives the step and its losses by name. Every `checkpoint_steps` the
    state is written to the file `checkpoint`; where it exists already, the run continues from it as if it had not been
    stopped. Raises TrainingError if it is of another run or cannot be read.
    """
    import torch

    torch.manual_seed(parameters.seed)
    for layer in model.encoder.layer[: parameters.frozen_layers]:
        layer.requires_grad_(False)
    model.embeddings.requires_grad_(False)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=parameters.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, parameters))
    state = {"model": model, "optimizer": optimizer, "schedule": schedule}
    done = _restore(checkpoint, state, parameters)
    anchors = _short_documents(bank.texts, tokenizer, parameters.anchor_length)
    for step, batch in enumerate(_batches(anchors, draw, pairs, parameters), 1):
        if step <= done:
            # Drawn all the same, so that what follows is what it would have been.
            continue
        losses = {}
        # One part after the other: the memory of only one graph is needed at a time.
        for name, loss in _losses(model, tokenizer, bank, batch, parameters):
            loss.backward()
            losses[name] = float(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if progress is not None:
            progress(step, losses)
        if checkpoint is not None and step % parameters.checkpoint_steps == 0:
            _keep(checkpoint, state, parameters, step)


class _Batch(NamedTuple):
    """Questions, rows of documents that are held where they are, and pairs."""

    questions: Sequence[TrainingQuestion]
    anchors: Sequence[int]
    pairs: Sequence[tuple[str, str]]


def _batches(
    anchors: Sequence[int],
    draw: Callable[[random.Random, int], Sequence[TrainingQuestion]],
    pairs: Sequence[tuple[str, str]],
    parameters: HybridParameters,
) -> Iterator[_Batch]:
    """Yield the batches of a run, the same ones for the same seed."""
    chance = random.Random(parameters.seed)
    blocks = _blocks(len(pairs), parameters.pairs, chance) if parameters.pairs else itertools.repeat(range(0))
    for block in itertools.islice(blocks, parameters.steps):
        questions = draw(chance, parameters.questions)
        yield _Batch(questions, chance.sample(anchors, parameters.anchors), [pairs[row] for row in block])


def _losses(
    model: Any,
    tokenizer: Any,
    bank: Bank,
    batch: _Batch,
    parameters: HybridParameters,
) -> Iterator[tuple[str, Any]]:
    """Yield the losses of a batch by name, each computed when it is read."""
    yield "questions", _question_loss(model, tokenizer, bank, batch.questions, parameters)
    yield "anchors", _anchor_loss(model, tokenizer, bank, batch.anchors, parameters)
    if batch.pairs:
        yield "pairs", _pair_loss(model, tokenizer, batch.pairs, parameters)


def _keep(checkpoint: Path, state: dict[str, Any], parameters: HybridParameters, done: int) -> None:
    """Write how far a run has come, to a temporary name first."""
    import torch

    partial = checkpoint.with_name(f"{checkpoint.name}.partial")
    values: dict[str, Any] = {name: part.state_dict() for name, part in state.items()}
    # Written by Python, whose errors of a full disk are OSErrors; torch has others.
    content = io.BytesIO()
    torch.save({**values, "parameters": parameters.to_dict(), "done": done}, content)
    with partial.open("wb") as stream:
        stream.write(content.getbuffer())
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(checkpoint)


def _restore(checkpoint: Path | None, state: dict[str, Any], parameters: HybridParameters) -> int:
    """Put the state of a checkpoint in place, if there is one, and return how many steps were done."""
    import torch

    if checkpoint is None or not checkpoint.exists():
        return 0
    try:
        saved = torch.load(checkpoint, weights_only=True)
    except Exception as error:  # torch, pickle and zipfile each raise their own
        raise TrainingError(f"{checkpoint} cannot be read ({error}); remove it to start again") from error
    if saved["parameters"] != parameters.to_dict():
        raise TrainingError(f"{checkpoint} is of a run with other parameters; resume with the same or remove it")
    for name, part in state.items():
        part.load_state_dict(saved[name])
    return int(saved["done"])


def _question_loss(
    model: Any,
    tokenizer: Any,
    bank: Bank,
    questions: Sequence[TrainingQuestion],
    parameters: HybridParameters,
) -> Any:
    """Return the cross-entropy of the model's ranking of all documents with the teacher's, less the teacher's own."""
    import torch

    texts = [question.text for question in questions]
    target, left_out = bank.teacher(questions, parameters)
    cosines = encode_with_gradient(model, tokenizer, texts, parameters.max_length) @ torch.from_numpy(bank.vectors).T
    scaled = (cosines / parameters.temperature).masked_fill(torch.from_numpy(left_out), -1e4)
    entropy = -(target * np.log(np.maximum(target, 1e-12))).sum(axis=1).mean()
    return -(torch.from_numpy(target) * scaled.log_softmax(1)).sum(1).mean() - float(entropy)


def _anchor_loss(model: Any, tokenizer: Any, bank: Bank, rows: Sequence[int], parameters: HybridParameters) -> Any:
    """Return how far the documents have moved from where they were, in cosine."""
    import torch

    vectors = encode_with_gradient(model, tokenizer, [bank.texts[row] for row in rows], parameters.anchor_length)
    return parameters.anchor_weight * (1 - (vectors * torch.from_numpy(bank.vectors[list(rows)])).sum(1)).mean()


def _pair_loss(model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], parameters: HybridParameters) -> Any:
    """Return the contrastive loss of a batch of pairs in both directions, and how far their correlation is from 1."""
    import torch

    first = encode_with_gradient(model, tokenizer, [pair[0] for pair in pairs], parameters.max_length)
    second = encode_with_gradient(model, tokenizer, [pair[1] for pair in pairs], parameters.pair_length)
    cosines = first @ second.T
    scaled = cosines / parameters.temperature
    labels = torch.arange(len(pairs))
    cross_entropy = torch.nn.functional.cross_entropy
    contrast = (cross_entropy(scaled, labels) + cross_entropy(scaled.T, labels)) / 2
    return contrast + parameters.correlation_weight * (1 - _correlation(cosines))


def _correlation(cosines: Any) -> Any:
    """Return the correlation of the cosines with 1 (the diagonal) and 0 (the rest), both counted alike.

    For two classes of equal weight it is d / sqrt(d^2 + 4 v): d the difference of their means, v their mean variance.
    """
    import torch

    true, other = cosines.diagonal(), cosines[~torch.eye(len(cosines), dtype=torch.bool)]
    difference = (true.mean() - other.mean()) ** 2
    variance = (true.var(unbiased=False) + other.var(unbiased=False)) / 2
    return torch.sqrt(difference / (difference + 4 * variance))


def _rate(step: int, parameters: HybridParameters) -> float:
    warmup = parameters.warmup_steps
    return min((step + 1) / warmup, max(0.05, (parameters.steps - step) / max(1, parameters.steps - warmup)))


def _short_documents(texts: Sequence[str], tokenizer: Any, length: int) -> list[int]:
    """Return the rows of documents that are whole within `length` tokens."""
    # Hardly a text has more than six characters to the token, so longer ones need not be counted.
    rows = [row for row, text in enumerate(texts) if len(text) < 6 * length]
    tokenizer.no_truncation()
    counts = [len(entry.ids) for entry in tokenizer.encode_batch([texts[row] for row in rows])]
    return [row for row, count in zip(rows, counts, strict=True) if count <= length]


def _blocks(count: int, size: int, chance: random.Random) -> Iterator[range]:
    """Yield runs of `size` rows in random order, again and again."""
    starts = list(range(0, count - size + 1, size))
    while starts:
        chance.shuffle(starts)
        for start in starts:
            yield range(start, start + size)


def encode_with_gradient(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int, size: int = 16) -> Any:
    """Encode in small batches of like length (mean pooling, unit rows), so that little is spent on padding."""
    import torch

    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    tokens = [entry.ids for entry in tokenizer.encode_batch(list(texts))]
    order = np.argsort([len(ids) for ids in tokens], kind="stable")
    rows: list[Any] = [None] * len(tokens)
    for start in range(0, len(order), size):
        chosen = order[start : start + size].tolist()
        longest = max(len(tokens[row]) for row in chosen)
        ids = torch.zeros(len(chosen), longest, dtype=torch.long)
        mask = torch.zeros(len(chosen), longest, dtype=torch.long)
        for place, row in enumerate(chosen):
            ids[place, : len(tokens[row])] = torch.tensor(tokens[row])
            mask[place, : len(tokens[row])] = 1
        hidden = model(input_ids=ids, attention_mask=None if bool(mask.all()) else mask)[0]
        shares = mask.unsqueeze(-1).float()
        pooled = torch.nn.functional.normalize((hidden * shares).sum(1) / shares.sum(1), dim=-1)
        for place, row in enumerate(chosen):
            rows[row] = pooled[place]
    return torch.stack(rows)


def load_bert(folder: Any) -> tuple[Any, Any]:
    """Return a transformers model without dropout, whose noise a run this short has no use for, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").float().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))
