"""Answers that a language model writes from sources of the index, and the check of each of their sentences."""
