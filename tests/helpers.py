"""What tests make their input with."""

import hashlib
from datetime import date

import numpy as np

from search.article import AbstractSection, Article
from search.index import IndexWriter
from search.store import prepare


class WordEncoder:
    """Texts that share words are near each other: each word is a fixed random vector, a text their sum."""

    dimension = 32
    fingerprint = "words"

    def __init__(self):
        self.encoded = []

    def encode(self, texts, kind="document"):
        self.encoded.extend(texts)
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
                row += np.random.default_rng(seed).standard_normal(self.dimension).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def article(pmid, title="", abstract="", *, revised=None, **fields):
    """An article in a word or two."""
    return Article(
        pmid=pmid,
        title=title or f"Title {pmid}",
        abstract=(AbstractSection(abstract),) if abstract else (),
        revised=date.fromisoformat(revised) if revised else None,
        **fields,
    )


def put(folder, encoder, *articles, merge=False):
    """Commit articles with their vectors to an index."""
    writer = IndexWriter(folder)
    plan = writer.store.plan([prepare(item) for item in articles])
    writer.store.apply(plan, encoder.encode([row.text for row in plan.to_encode]))
    if merge:
        writer.merge()
    writer.close()
