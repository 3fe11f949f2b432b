"""Embedding models: load, compile, run."""

from search.models.encoder import Encoder, Kind, load_encoder
from search.models.fingerprint import model_fingerprint
from search.models.vectors import normalize

__all__ = ["Encoder", "Kind", "load_encoder", "model_fingerprint", "normalize"]
