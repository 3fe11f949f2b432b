"""Embedding models and rerankers: find, compile once, run without torch."""

from search.models.encoder import PRECISIONS, Encoder, Kind, load_encoder
from search.models.fingerprint import model_fingerprint
from search.models.reranker import Reranker, load_reranker
from search.models.vectors import normalize

__all__ = [
    "PRECISIONS",
    "Encoder",
    "Kind",
    "Reranker",
    "load_encoder",
    "load_reranker",
    "model_fingerprint",
    "normalize",
]
