"""Fine-tune an embedding model on pairs with sentence-transformers, in a way that can be killed and taken up again.

A run works in `<output>.partial/`: its description (`run.json`), its checkpoints and, at the end, the finished model,
which is then moved to `<output>` in one step. So the output is there only when it is whole.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from search.errors import ModelError, TrainingError
from search.extras import require
from search.models.presets import resolve_model
from search.training.card import Base, describe_base, model_card
from search.training.pairs import Pair, read_pairs
from search.training.parameters import TrainingParameters, TrainingProgress, TrainingReport
from search.training.saved_model import refuse_existing

__all__ = ["split_pairs", "train_model"]

#: A run with fewer pairs than this learns nothing that a score could show.
MINIMUM_PAIRS = 64


def train_model(
    pairs: Path | Sequence[Pair],
    base: str | Path,
    output: Path,
    *,
    parameters: TrainingParameters | None = None,
    resume: bool = False,
    licence: str | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingReport:
    """Train `base` on pairs with MultipleNegativesRankingLoss and write the model and its card to the folder `output`.

    `pairs` is a file of `mine_pairs` or a sequence. `base` is a preset, a folder or a hub name, and is trained
    in float32 whatever its file holds. `licence` is for the card; without it the base's is taken. With `resume` a run
    that was killed continues from its last complete checkpoint and ends with the weights that it would have had; it
    must have the same pairs, base and parameters. The result loads with sentence-transformers, transformers and txtai.

    Raises ConfigError if the extra `train` is not installed. Raises TrainingError: too few pairs, empty texts, a base
    that cannot be loaded, an output that is there already, no space, a run that cannot be resumed, or a loss or score
    that is not finite; then nothing is written.
    """
    require("train", "training", "torch", "sentence_transformers", "datasets", "accelerate", "scipy")
    parameters = parameters or TrainingParameters()
    rows = read_pairs(pairs) if isinstance(pairs, Path) else list(pairs)
    train, held_out = split_pairs(rows, parameters.held_out, parameters.seed, parameters.batch_size)
    run = _Run(Path(output), _find_base(str(base), licence), parameters, train, held_out)
    run.prepare(resume=resume)
    try:
        return run.train(progress)
    except OSError as error:
        raise run.disk_error(error) from error
    except _NotFiniteError as error:
        # Its checkpoints hold numbers that are none.
        shutil.rmtree(run.work, ignore_errors=True)
        raise TrainingError(str(error)) from error
    except Exception as error:
        # safetensors has an error class of its own for a write that the disk refused.
        if "No space left" in str(error):
            raise run.disk_error(error) from error
        raise


class _NotFiniteError(Exception):
    """A loss or score that is no number."""


def _find_base(name: str, licence: str | None) -> Base:
    try:
        return describe_base(resolve_model(name), licence)
    except ModelError as error:
        raise TrainingError(f"the base model '{name}' cannot be loaded: {error}") from error


def split_pairs(pairs: Sequence[Pair], held_out: int, seed: int, batch_size: int = 2) -> tuple[list[Pair], list[Pair]]:
    """Divide pairs into those to train on and those to judge by; no article stands on both sides.

    At most a tenth of the pairs is held out. Which ones depends on the seed and the texts, not on their order. Raises
    TrainingError where a text is empty or too few pairs are left.
    """
    for number, pair in enumerate(pairs, 1):
        if not pair.anchor.strip() or not pair.positive.strip():
            raise TrainingError(
                f"pair {number} has an empty text (PMIDs {pair.pmids}); remove it or mine the pairs again"
            )
    order = sorted(range(len(pairs)), key=lambda row: (_key(pairs[row], seed), row))
    chosen = set(order[: min(held_out, len(pairs) // 10)])
    pmids = {pmid for row in chosen for pmid in pairs[row].pmids}
    texts = {text for row in chosen for text in (pairs[row].anchor, pairs[row].positive)}
    train = [
        pair
        for row, pair in enumerate(pairs)
        if row not in chosen
        and pmids.isdisjoint(pair.pmids)
        and pair.anchor not in texts
        and pair.positive not in texts
    ]
    needed = max(MINIMUM_PAIRS, 2 * batch_size)
    if len(train) < needed:
        raise TrainingError(
            f"{len(pairs)} pairs leave {len(train)} to train on; {needed} or more are needed: mine a larger sample"
        )
    return train, [pairs[row] for row in sorted(chosen)]


def _key(pair: Pair, seed: int) -> bytes:
    text = f"{seed}\0{pair.anchor}\0{pair.positive}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


class _Run:
    """One training run and its folder."""

    def __init__(
        self, output: Path, base: Base, parameters: TrainingParameters, train: list[Pair], held_out: list[Pair]
    ) -> None:
        self.output = output
        self.base = base
        self.parameters = parameters
        self.pairs = train
        self.held_out = held_out
        self.work = output.with_name(f"{output.name}.partial")
        epoch = math.ceil(len(train) / parameters.batch_size)
        self.steps = parameters.max_steps or epoch * parameters.epochs
        self.warmup_steps = min(parameters.warmup_steps, self.steps // 2)

    def description(self) -> dict[str, Any]:
        """Return what must be the same for a run to be taken up again."""
        digest = hashlib.blake2b(digest_size=16)
        for pair in self.pairs:
            digest.update(_key(pair, 0))
        return {"base": str(self.base.folder), "pairs": digest.hexdigest(), "parameters": self.parameters.to_dict()}

    def prepare(self, *, resume: bool) -> None:
        """Look at what is there, and make the working folder."""
        refuse_existing(self.output)
        run_file = self.work / "run.json"
        if resume:
            self._check_same_run(run_file)
            return
        if self._checkpoints():
            raise TrainingError(f"{self.work} holds an unfinished run; resume it, or remove the folder to start again")
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            run_file.write_text(json.dumps(self.description(), indent=2), encoding="utf-8")
        except OSError as error:
            raise TrainingError(f"{self.work} cannot be written: {error}") from error

    def _check_same_run(self, run_file: Path) -> None:
        try:
            description = json.loads(run_file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(f"there is no run to resume at {self.work} ({error}); start without resume") from error
        expected = self.description()
        different = [name for name in expected if description.get(name) != expected[name]]
        if different:
            raise TrainingError(
                f"the run at {self.work} had other {' and '.join(different)}; resume with the same or remove it"
            )

    def _checkpoints(self) -> list[Path]:
        """Return the complete checkpoints, the latest last; trainer_state.json is written when all else is there."""
        by_step: list[tuple[int, Path]] = []
        for folder in (self.work / "checkpoints").glob("checkpoint-*"):
            try:
                state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
                by_step.append((int(state["global_step"]), folder))
            except (OSError, ValueError, KeyError):
                continue
        return [folder for _, folder in sorted(by_step)]

    def train(self, progress: Callable[[TrainingProgress], None] | None) -> TrainingReport:
        """Run the trainer, then move the finished model in place."""
        started = time.monotonic()
        checkpoints = self._checkpoints()
        checkpoint = checkpoints[-1] if checkpoints else None
        model = _load(self.base.folder)
        own_length = model.max_seq_length
        if self.parameters.max_length:
            model.max_seq_length = min(self.parameters.max_length, own_length)
        self._check_space(model)
        evaluator = _evaluator(self.held_out, self.parameters.seed)
        before = self._score_before(model, evaluator)
        _check_finite("score of the base", before)
        trainer = _trainer(self, model, evaluator, progress)
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        _check_finite("loss", result.training_loss)
        report = TrainingReport(
            output=self.output,
            base=self.base.name,
            pairs=len(self.pairs),
            held_out=len(self.held_out),
            steps=result.global_step,
            warmup_steps=self.warmup_steps,
            resumed_from=int(checkpoint.name.rsplit("-", 1)[1]) if checkpoint else 0,
            seconds=time.monotonic() - started,
            score_before=before,
            score_after=_score(model, evaluator),
        )
        _check_finite("score", report.score_after)
        # The length was for training only: the model reads as much as its base.
        model.max_seq_length = own_length
        finished = self.work / "model"
        shutil.rmtree(finished, ignore_errors=True)
        model.save_pretrained(str(finished), create_model_card=False)
        card = model_card(report, self.parameters, self.pairs, self.base)
        (finished / "README.md").write_text(card, encoding="utf-8")
        finished.replace(self.output)
        shutil.rmtree(self.work, ignore_errors=True)
        return report

    def _score_before(self, model: Any, evaluator: Any) -> float:
        """Score the base once; a resumed run reads what was found then."""
        file = self.work / "score_before.json"
        try:
            return float(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            score = _score(model, evaluator)
            file.write_text(json.dumps(score), encoding="utf-8")
            return score

    def _check_space(self, model: Any) -> None:
        """Refuse to start where the checkpoints cannot fit: weights and two moments each, and one being written."""
        size = sum(parameter.numel() * 4 for parameter in model.parameters())
        needed = size * 3 * (self.parameters.checkpoints_kept + 1) + size
        free = shutil.disk_usage(self.work).free
        if free < needed:
            raise TrainingError(
                f"{self.work} has {free / 1e9:.1f} GB free and the run needs {needed / 1e9:.1f} GB; free some space, "
                "keep fewer checkpoints or write elsewhere"
            )

    def disk_error(self, error: Exception) -> TrainingError:
        """Return the error to show for a failed read or write."""
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        what = "the disk is full" if full else str(error)
        return TrainingError(f"training stopped, {what}; put that right and resume: {self.work} holds the checkpoints")


def _load(base: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        # In half precision a step of 2e-5 is rounded away, or overflows: weights are trained in float32.
        model = SentenceTransformer(str(base), local_files_only=True).float()
        # Each checkpoint would ask the Hub about the base, by its name or folder, for a card that is not kept.
        model.model_card_data.local_files_only = True
        return model
    except Exception as error:
        # What fails here is not ours: no such folder, no network, weights of another kind, a broken file.
        raise TrainingError(
            f"the base model '{base}' cannot be loaded ({error}); give the folder of a sentence-transformers model, "
            "or a hub name while there is a network"
        ) from error


def _check_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise _NotFiniteError(
            f"the {what} is {value}, so nothing was written; use a smaller learning_rate, precision=fp32, or a base "
            "whose own vectors are finite"
        )


def _evaluator(held_out: list[Pair], seed: int) -> Any:
    """Return the reference recipe's evaluator: true pairs count as 1, as many shuffled ones as 0."""
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    anchors = [pair.anchor for pair in held_out]
    positives = [pair.positive for pair in held_out]
    # A random cycle through all rows: no text keeps its place, and the two pairs of one article rarely meet.
    cycle = np.random.default_rng(seed).permutation(len(positives))
    others = [""] * len(positives)
    for row, source in zip(cycle, np.roll(cycle, 1), strict=True):
        others[row] = positives[source]
    scores = [1.0] * len(anchors) + [0.0] * len(anchors)
    return EmbeddingSimilarityEvaluator(
        anchors * 2, positives + others, scores, name="held-out", write_csv=False, similarity_fn_names=["cosine"]
    )


def _score(model: Any, evaluator: Any) -> float:
    return 100 * float(evaluator(model)["held-out_pearson_cosine"])


def _trainer(run: _Run, model: Any, evaluator: Any, progress: Callable[[TrainingProgress], None] | None) -> Any:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer
    from transformers import PrinterCallback

    dataset = Dataset.from_dict(
        {"anchor": [pair.anchor for pair in run.pairs], "positive": [pair.positive for pair in run.pairs]}
    )
    trainer = SentenceTransformerTrainer(
        model=model,
        args=_arguments(run),
        train_dataset=dataset,
        loss=_loss(model, run.parameters),
        evaluator=evaluator,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_progress_callback(progress))
    return trainer


def _arguments(run: _Run) -> Any:
    import torch
    from sentence_transformers import SentenceTransformerTrainingArguments
    from sentence_transformers.base.sampler import BatchSamplers

    parameters = run.parameters
    return SentenceTransformerTrainingArguments(
        output_dir=str(run.work / "checkpoints"),
        num_train_epochs=parameters.epochs,
        max_steps=parameters.max_steps or -1,
        per_device_train_batch_size=parameters.batch_size,
        per_device_eval_batch_size=64,
        learning_rate=parameters.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=run.warmup_steps,
        weight_decay=parameters.weight_decay,
        max_grad_norm=parameters.max_grad_norm,
        optim="adamw_torch",
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        eval_strategy="steps",
        eval_steps=parameters.evaluation_steps,
        save_strategy="steps",
        save_steps=parameters.checkpoint_steps,
        save_total_limit=parameters.checkpoints_kept,
        logging_steps=max(1, min(50, run.steps // 20)),
        # Otherwise a loss that is no number is reported as 0.
        logging_nan_inf_filter=False,
        # Without a GPU bf16 is refused unless the processor is named.
        use_cpu=not torch.cuda.is_available(),
        bf16=_use_bf16(parameters.precision),
        seed=parameters.seed,
        data_seed=parameters.seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def _loss(model: Any, parameters: TrainingParameters) -> Any:
    from sentence_transformers.sentence_transformer import losses

    directions: tuple[str, ...] = ("query_to_doc", "doc_to_query") if parameters.both_directions else ("query_to_doc",)
    if parameters.gradient_cache:
        return losses.CachedMultipleNegativesRankingLoss(
            model, scale=parameters.scale, directions=directions, mini_batch_size=parameters.gradient_cache
        )
    return losses.MultipleNegativesRankingLoss(model, scale=parameters.scale, directions=directions)


def _use_bf16(precision: str) -> bool:
    """Return whether to train in bf16: the given setting, or true where the processor supports it natively."""
    import torch

    if precision != "auto":
        return precision == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported()) if callable(supported) else False


def _progress_callback(progress: Callable[[TrainingProgress], None] | None) -> Any:
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        """Turn the trainer's logs into TrainingProgress, and end the run at a number that is not finite."""

        def __init__(self) -> None:
            self.score: float | None = None
            self.loss: float | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.first_step = state.global_step
            self.started = time.monotonic()

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any
        ) -> None:
            for name, value in (logs or {}).items():
                if name == "loss":
                    self.loss = float(value)
                    _check_finite(f"loss at step {state.global_step:,}", self.loss)
                elif name.endswith("pearson_cosine"):
                    self.score = 100 * float(value)
                    _check_finite(f"score at step {state.global_step:,}", self.score)
            if progress is None:
                return
            done = max(1, state.global_step - self.first_step)
            left = (time.monotonic() - self.started) / done * (state.max_steps - state.global_step)
            progress(TrainingProgress(state.global_step, state.max_steps, self.loss, self.score, left))

    return Progress()
