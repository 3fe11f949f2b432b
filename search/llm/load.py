"""Loading the language model that the configuration names."""

from __future__ import annotations

from functools import cache

from search.config import LlmConfig
from search.llm.language_models import LanguageModel

__all__ = ["load_llm"]


def load_llm(settings: LlmConfig) -> LanguageModel:
    """Return the model that the configuration names. Raises ConfigError or ModelError if it is not there."""
    if settings.path is not None:
        return _local_model(settings.path)
    from search.llm.openai_api import OpenAiModel

    return OpenAiModel(settings)


@cache
def _local_model(path: str) -> LanguageModel:
    from search.llm.txtai_llm import TxtaiModel

    return TxtaiModel(path)
