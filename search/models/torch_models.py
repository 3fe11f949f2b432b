"""Models on torch: what is compiled is loaded here, and what cannot be compiled runs here."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError

__all__ = [
    "TorchBackend",
    "cuda_is_available",
    "load_cross_encoder",
    "load_sentence_transformer",
    "prompt_for",
    "quiet",
]

#: Texts in a batch: at the most on a GPU, where it is halved until it fits; and on a CPU.
_GPU_BATCH = 1024
_CPU_BATCH = 16


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back the warnings, log lines and progress bars of torch and transformers: they are not about our input."""
    loggers = [logging.getLogger(name) for name in ("transformers", "sentence_transformers", "openvino", "nncf")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            if bars:
                transformers_logging.enable_progress_bar()


def load_sentence_transformer(folder: Path, pooling: str | None = None, device: str = "cpu") -> Any:
    """Load a model with sentence-transformers, in float32 and for use, not training.

    `pooling` takes the place of the mean that sentence-transformers gives a plain transformers folder. Raises
    ModelError if the folder's files cannot be loaded.
    """
    with quiet():
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(str(folder), device=device, local_files_only=True)
        except Exception as error:  # safetensors, torch, transformers and json each raise their own
            raise ModelError(_cannot_load(folder, error)) from error
        if pooling is not None and not (folder / "modules.json").exists():
            model[1] = type(model[1])(model[0].get_embedding_dimension(), pooling_mode=pooling)
        # Weights kept in float16 are computed with in float32 on a CPU, which has no fast float16 arithmetic.
        return model.float().eval()


def _cannot_load(folder: Path, error: Exception) -> str:
    return (
        f"the model in {folder} cannot be loaded: {str(error) or type(error).__name__}. "
        "Its files may be damaged or incomplete: fetch the folder again."
    )


def load_cross_encoder(folder: Path, device: str = "cpu") -> Any:
    """Load a cross-encoder with sentence-transformers, in float32 and for use, not training.

    Raises ModelError if the folder's files cannot be loaded, or if it gives several labels rather than one score.
    """
    with quiet():
        from sentence_transformers import CrossEncoder

        try:
            model = CrossEncoder(str(folder), device=device, local_files_only=True)
        except Exception as error:  # as above
            raise ModelError(_cannot_load(folder, error)) from error
        labels = int(model.num_labels)
        if labels != 1:
            raise ModelError(f"the model in {folder} gives {labels} labels, not one score: it is no reranker.")
        if model.model is not None:
            model.model.float().eval()
        return model


def prompt_for(model: Any, kind: str) -> str:
    """Return the prompt that sentence-transformers' `encode_query` or `encode_document` puts before a text."""
    names = ["query"] if kind == "query" else ["document", "passage", "corpus"]
    if model.default_prompt_name:
        names.append(model.default_prompt_name)
    return next((model.prompts[name] or "" for name in names if name in model.prompts), "")


def cuda_is_available() -> bool:
    """Whether torch sees an NVIDIA GPU. Imports torch only where the driver's files are, since that takes 2 s."""
    if not Path("/proc/driver/nvidia/version").exists() and not Path("/dev/nvidiactl").exists():
        return False
    import torch

    return bool(torch.cuda.is_available())


class TorchBackend:
    """Runs a model with sentence-transformers: on a GPU in half precision, else on the CPU in float32."""

    name = "torch"
    precision = "fp32"

    def __init__(self, folder: Path, pooling: str | None = None) -> None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load_sentence_transformer(folder, pooling, device)
        self._batch_size = _CPU_BATCH
        if device == "cuda":
            self.precision = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
            self._model = self._model.to(torch.bfloat16 if self.precision == "bf16" else torch.float16)
            self._batch_size = _GPU_BATCH
        self.dimension = int(self._model.get_embedding_dimension())
        self.max_length = int(self._model.max_seq_length or 0)

    def embed(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        """Return the vectors of the texts as the model gives them, float32 (texts, dimension).

        Raises ModelError if not even one text fits the GPU's memory.
        """
        import torch

        while True:
            try:
                return self._embedded(texts, kind)
            except torch.OutOfMemoryError as error:
                if self._batch_size == 1:
                    raise ModelError(f"one text and the model do not fit the GPU's memory: {error}") from error
                # The longest texts come first, so a batch that fits once fits all that follow.
                self._batch_size //= 2
                torch.cuda.empty_cache()

    def _embedded(self, texts: Sequence[str], kind: str) -> npt.NDArray[np.float32]:
        import torch

        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with quiet(), torch.inference_mode():
            vectors = encode(list(texts), batch_size=self._batch_size, show_progress_bar=False, convert_to_tensor=True)
        result: npt.NDArray[np.float32] = vectors.float().cpu().numpy()
        return result
