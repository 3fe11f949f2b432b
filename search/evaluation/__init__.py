"""Judging a model: pair correlation, retrieval."""
