"""Embedding models: load, compile, run."""
