"""Semantic search over the medical literature."""
