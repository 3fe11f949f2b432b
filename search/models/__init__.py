"""Embedding models and rerankers: found, compiled once, run."""

from search.models.encoder import PRECISIONS, Encoder, Kind, load_encoder
from search.models.reranker import Reranker, load_reranker
from search.models.vectors import normalize

__all__ = [
    "PRECISIONS",
    "Encoder",
    "Kind",
    "Reranker",
    "load_encoder",
    "load_reranker",
    "normalize",
]
