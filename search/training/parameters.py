"""The parameters of a training run, with the reference model's recipe as defaults, and what a run reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from search.errors import TrainingError

__all__ = ["TrainingParameters", "TrainingProgress", "TrainingReport"]

_PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class TrainingParameters:
    """How a model is trained. The defaults are the reference model's (neuml/pubmedbert-base-embeddings).

    `warmup_steps` is cut to half of the run where the run is short; the reference run had 20,191 steps and warmed up
    over 10,000. `max_steps` ends a run early (0: the epochs decide). `gradient_cache` is the number of texts that go
    through the model at once: with it a large batch fits a small memory, for about a third more time. `held_out` pairs,
    and all other pairs of the same articles, are kept out of training and judge the model every `evaluation_steps`.
    `max_length` (tokens) cuts texts in training only; the finished model reads as much as its base.
    """

    epochs: int = 1
    max_steps: int = 0
    batch_size: int = 24
    gradient_cache: int = 0
    learning_rate: float = 2e-5
    warmup_steps: int = 10_000
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    scale: float = 20.0
    both_directions: bool = False
    max_length: int = 0
    held_out: int = 1000
    evaluation_steps: int = 500
    checkpoint_steps: int = 500
    checkpoints_kept: int = 2
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise TrainingError naming the first parameter that cannot be."""
        for name in ("epochs", "evaluation_steps", "checkpoint_steps", "checkpoints_kept", "held_out"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("max_steps", "gradient_cache", "warmup_steps", "weight_decay", "max_length", "seed"):
            if getattr(self, name) < 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must not be negative")
        for name in ("learning_rate", "max_grad_norm", "scale"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} is {getattr(self, name)}; it must be more than 0")
        if self.batch_size < 2:
            raise TrainingError(
                f"batch_size is {self.batch_size}; a batch needs at least two pairs, which are compared with each other"
            )
        if self.precision not in _PRECISIONS:
            raise TrainingError(f"precision '{self.precision}' is not known; choose {', '.join(_PRECISIONS)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters by name."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingProgress:
    """Where a run stands: `loss` is the mean since the last report, `score` the last Pearson x100 on held-out pairs."""

    step: int
    steps: int
    loss: float | None
    score: float | None
    seconds_left: float


@dataclass(frozen=True)
class TrainingReport:
    """What `train_model` made. Scores are Pearson x100 on the held-out pairs, before and after."""

    output: Path
    base: str
    pairs: int
    held_out: int
    steps: int
    warmup_steps: int
    resumed_from: int
    seconds: float
    score_before: float
    score_after: float
