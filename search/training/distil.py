"""Train a small model towards what it and BM25 find together, keeping what it knew.

A batch is some questions and some documents, near neighbours among them. The target of a question is a mixture of
its own document and the softmax over the batch of `base cosine + 0.4 * bm25 / max bm25`: the hybrid ranking, which is
better than either part. So the model learns the part of BM25 that it lacks, hard negatives come with the neighbours, a
document that answers too is not pushed away, and where nothing is labelled the target alone holds the model to what it
knew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "DistilParameters", "distil", "mix_weights"]


@dataclass(frozen=True)
class Batch:
    """Questions, documents and what the teacher says of each of their combinations.

    Where `labelled`, question i belongs to document i, and rows with another `group` are random to each other.
    """

    kind: str
    queries: tuple[str, ...]
    documents: tuple[str, ...]
    groups: tuple[int, ...]
    teacher: NDArray[np.float32]
    labelled: bool = True


@dataclass(frozen=True)
class DistilParameters:
    """How to distil; the defaults made the runs of docs/log.md.

    `correlation_kinds` are the kinds of batch whose loss also has `correlation_weight * (1 - r)`, r the correlation of
    cosines with true (1) and random (0) pairs: it lowers the spread of the cosines of pairs that belong together.
    """

    steps: int = 200
    learning_rate: float = 3e-5
    warmup_steps: int = 20
    max_length: int = 96
    frozen_layers: int = 2
    label_weight: float = 0.5
    temperature: float = 0.05
    correlation_weight: float = 2.0
    correlation_kinds: tuple[str, ...] = ("title", "conclusion", "claim")
    seed: int = 1


def distil(
    model: Any,
    tokenizer: Any,
    batches: Sequence[Batch],
    parameters: DistilParameters,
    progress: Callable[[int, str, float], None] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train a transformers BERT in place; return its weights and their moving average.

    `tokenizer` is a `tokenizers.Tokenizer`. Batches are taken in turn until the steps are done.
    """
    import torch

    torch.manual_seed(parameters.seed)
    _freeze(model, parameters.frozen_layers)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=parameters.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, parameters))
    average = {name: value.clone() for name, value in model.state_dict().items()}
    for step, batch in enumerate(islice(cycle(batches), parameters.steps)):
        queries = encode_with_gradient(model, tokenizer, batch.queries, parameters.max_length)
        documents = encode_with_gradient(model, tokenizer, batch.documents, parameters.max_length)
        loss = _loss(queries @ documents.T, batch, parameters)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        decay = min(0.98, (step + 1) / (step + 10))
        with torch.no_grad():
            for name, value in model.state_dict().items():
                if value.dtype.is_floating_point:
                    average[name].lerp_(value, 1 - decay)
        if progress is not None:
            progress(step + 1, batch.kind, float(loss.detach()))
    return model.state_dict(), average


def mix_weights(parts: Iterable[tuple[float, dict[str, Any]]]) -> dict[str, Any]:
    """Return the weighted sum of models' weights."""
    mixed: dict[str, Any] = {}
    for share, weights in parts:
        for name, value in weights.items():
            if value.dtype.is_floating_point:
                mixed[name] = mixed.get(name, 0) + share * value.float()
    return mixed


def encode_with_gradient(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int, size: int = 16) -> Any:
    """Encode in small batches of like length (mean pooling, unit rows), so that little is spent on padding."""
    import torch

    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length)
    tokens = [entry.ids for entry in tokenizer.encode_batch(list(texts))]
    order = np.argsort([len(ids) for ids in tokens])
    rows: list[Any] = [None] * len(tokens)
    for chosen in _chunks(order, size):
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


def load_bert(folder: Path) -> tuple[Any, Any]:
    """Return a transformers model without dropout, whose noise a run this short has no use for, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder, attn_implementation="sdpa").float().train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, Tokenizer.from_file(str(folder / "tokenizer.json"))


def _chunks(order: NDArray[np.intp], size: int) -> Iterator[list[int]]:
    for start in range(0, len(order), size):
        yield order[start : start + size].tolist()


def _freeze(model: Any, layers: int) -> None:
    model.embeddings.requires_grad_(False)
    for layer in model.encoder.layer[:layers]:
        layer.requires_grad_(False)


def _rate(step: int, parameters: DistilParameters) -> float:
    warmup = parameters.warmup_steps
    return min((step + 1) / warmup, max(0.05, (parameters.steps - step) / max(1, parameters.steps - warmup)))


def _loss(cosines: Any, batch: Batch, parameters: DistilParameters) -> Any:
    import torch

    teacher = torch.from_numpy(np.ascontiguousarray(batch.teacher, dtype=np.float32))
    scaled, target = cosines / parameters.temperature, (teacher / parameters.temperature).softmax(1)
    if not batch.labelled:
        return -(target * scaled.log_softmax(1)).sum(1).mean()
    label, rest = parameters.label_weight, 1 - parameters.label_weight
    own = torch.eye(*cosines.shape)
    loss = -((label * own + rest * target) * scaled.log_softmax(1)).sum(1).mean()
    # Where documents outnumber questions, most documents have no question of their own to find.
    if cosines.shape[0] == cosines.shape[1]:
        back = label * own + rest * (teacher / parameters.temperature).softmax(0)
        loss = 0.7 * loss - 0.3 * (back * scaled.log_softmax(0)).sum(0).mean()
    if parameters.correlation_weight and batch.kind in parameters.correlation_kinds:
        loss = loss + parameters.correlation_weight * (1 - _correlation(cosines, batch.groups))
    return loss


def _correlation(cosines: Any, groups: Sequence[int]) -> Any:
    """Return the correlation of cosines with 1 (true) and 0 (random pairs), both counted alike.

    For two classes of equal weight it is d / sqrt(d^2 + 4 v): d the difference of their means, v their mean variance.
    """
    import torch

    group = torch.tensor(groups)
    true, random = cosines.diagonal(), cosines[group[:, None] != group[None, :]]
    difference = (true.mean() - random.mean()) ** 2
    variance = (true.var(unbiased=False) + random.var(unbiased=False)) / 2
    return torch.sqrt(difference / (difference + 4 * variance + math.ulp(1.0)))
