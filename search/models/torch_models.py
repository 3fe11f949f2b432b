"""Models on torch: loaded to be traced, and run where there is a GPU or where they cannot be traced."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.errors import ModelError
from search.models.layout import Layout, cannot_load, needs_own_code
from search.models.tokens import Text

__all__ = [
    "TorchBackend",
    "cuda_is_available",
    "load_cross_encoder",
    "load_sentence_transformer",
    "logits",
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


def load_sentence_transformer(layout: Layout, device: str = "cpu") -> Any:
    """Load a model with sentence-transformers, in float32 and for use, not training.

    The layout's pooling, prompts, lengths and dimension take the place of what sentence-transformers makes of the
    files. Raises ModelError if they cannot be loaded, or if the model needs custom code.
    """
    with quiet():
        from sentence_transformers import SentenceTransformer

        _refuse_own_code(layout)
        try:
            model = SentenceTransformer(str(layout.folder), device=device, local_files_only=True)
        except Exception as error:  # safetensors, torch, transformers and json each raise their own
            raise cannot_load(layout.folder, error) from error
        for module in model:
            if type(module).__name__ == "Pooling" and layout.pooling:
                module.__init__(module.embedding_dimension, layout.pooling, layout.include_prompt)
        model.prompts, model.default_prompt_name = dict(layout.prompts), None
        model.truncate_dim = layout.dimension
        if type(model[0]).__name__ == "Transformer":
            model.max_seq_length = max(layout.max_length.values())
            model[0].query_length, model[0].document_length = layout.max_length["query"], layout.max_length["document"]
        # Weights kept in float16 are computed with in float32 on a CPU, which has no fast float16 arithmetic.
        return model.float().eval()


def _refuse_own_code(layout: Layout) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if layout.config.get("auto_map") and layout.model_type not in CONFIG_MAPPING_NAMES:
        raise needs_own_code(layout.folder, f"the model type {layout.model_type}")


def load_cross_encoder(layout: Layout, device: str = "cpu") -> Any:
    """Load a cross-encoder with sentence-transformers, in float32 and for use, not training.

    Raises ModelError if its files cannot be loaded, or if it gives several labels rather than one score.
    """
    with quiet():
        from sentence_transformers import CrossEncoder

        _refuse_own_code(layout)
        try:
            model = CrossEncoder(str(layout.folder), device=device, local_files_only=True)
        except Exception as error:  # as above
            raise cannot_load(layout.folder, error) from error
        if int(model.num_labels) != 1:
            raise ModelError(f"the model in {layout.folder} gives {model.num_labels} labels; it is not a reranker.")
        if model.model is not None:
            model.model.float().eval()
        return model


def logits(model: Any, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
    """Return a cross-encoder's scores before its activation, which may make distinct ones equal, (pairs,)."""
    import torch

    with quiet():
        scores = model.predict(list(pairs), show_progress_bar=False, activation_fn=torch.nn.Identity())
    return np.asarray(scores, np.float32).reshape(-1)


def cuda_is_available() -> bool:
    """Whether torch sees an NVIDIA GPU. Imports torch only where the driver's files are, since that takes 2 s."""
    if not Path("/proc/driver/nvidia/version").exists() and not Path("/dev/nvidiactl").exists():
        return False
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("sentence_transformers") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


class TorchBackend:
    """Run a model with sentence-transformers: on a GPU in half precision, else on the CPU in float32."""

    name = "torch"
    precision = "fp32"

    def __init__(self, layout: Layout, reason: str | None = None) -> None:
        import torch

        #: Why torch runs the model, where that is not for speed.
        self.reason = reason

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model = load_sentence_transformer(layout, device)
        self._batch_size = _CPU_BATCH
        if device == "cuda":
            self.precision = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
            self._model = self._model.to(torch.bfloat16 if self.precision == "bf16" else torch.float16)
            self._batch_size = _GPU_BATCH
        self.dimension = int(self._model.get_embedding_dimension())
        self.max_length = layout.max_length["document"]

    def embed(self, texts: Sequence[Text], kind: str) -> npt.NDArray[np.float32]:
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

    def _embedded(self, texts: Sequence[Text], kind: str) -> npt.NDArray[np.float32]:
        import torch

        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with quiet(), torch.inference_mode():
            vectors = encode(list(texts), batch_size=self._batch_size, show_progress_bar=False, convert_to_tensor=True)
        result: npt.NDArray[np.float32] = vectors.float().cpu().numpy()
        return result
