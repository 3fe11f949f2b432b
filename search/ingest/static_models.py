"""What makes the static vectors of an index: from its model alone as soon as records are read, then fitted to vectors.

An index of the built-in model has static vectors from its first record on; what follows is for all other models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np

from search.article import embedding_text
from search.ingest.run_progress import Progress
from search.models import Kind
from search.models.static_vectors import StaticVectors, TokenIds, from_vocabulary
from search.models.tokens import Text
from search.storage.backend import Writer
from search.storage.rows import Pmids, Vectors
from search.storage.store import Store

__all__ = ["FEWEST", "FITTED_FROM", "Vocabulary", "fit_if_due", "make_from_vocabulary"]

#: Up to so many articles all of them are candidates of every question.
FEWEST = 64
#: From so many encoded articles on, rows are fitted to their vectors.
FITTED_FROM = 4_000
#: They are made again from the vocabulary once there are so many times the articles, which use more tokens.
_GROWTH = 4
#: Texts in which tokens are counted, and to which rows are fitted.
_COUNTED, _FITTED = 20_000, 30_000
#: Tokens that are encoded at once: fewer than make a job by which the speed of a model is judged.
_AT_ONCE = 200

_Report = Callable[[Progress], None]


class Vocabulary(Protocol):
    """What is needed of a model: its tokens, None if its files do not tell them, and their vectors."""

    @property
    def tokens(self) -> TokenIds | None:
        """What finds the tokens of a text."""
        ...

    def encode(self, texts: list[Text], kind: Kind = "document") -> Vectors:
        """Return unit vectors, (n, dimension) float32."""
        ...


def make_from_vocabulary(writer: Writer, load: Callable[[], Vocabulary], progress: _Report | None = None) -> bool:
    """Give an index static vectors that are made from its model alone, if they are due, and say whether they were.

    They are where articles wait to be encoded, more than any question would encode, and where an index has grown since
    they were made. `load` gives the model.
    """
    store = writer.store
    if not store.has_stale():
        return False
    known = store.static()
    articles = store.counts()["articles"]
    if articles <= FEWEST or (known is not None and (known.fitted or articles < _GROWTH * known.articles)):
        return False
    model = load()
    if model.tokens is None:
        return False
    report = partial(_report, progress, "static vectors")
    counts = model.tokens.counts(_texts(store, _spread(store.pmids(), _COUNTED)))
    words = model.tokens.texts_of(np.flatnonzero(counts).tolist())
    if not words:
        return False
    vectors = []
    for start in range(0, len(words), _AT_ONCE):
        vectors.append(model.encode(list(words[start : start + _AT_ONCE]), kind="document"))
        report(0.8 * start / len(words))
    static = from_vocabulary(model.tokens, counts, np.concatenate(vectors), articles=articles)
    fitted = _fitted(store, static)
    _put(writer, fitted or static, lambda share: report(0.8 + 0.2 * share))
    return True


def fit_if_due(writer: Writer, encoded: int, progress: _Report | None = None) -> bool:
    """Fit what makes static vectors to the vectors of `encoded` articles, once these are enough; whether it was."""
    if encoded < FITTED_FROM:
        return False
    known = writer.store.static()
    if known is None or known.fitted:
        return False
    fitted = _fitted(writer.store, known)
    if fitted is None:
        return False
    _put(writer, fitted, partial(_report, progress, "static vectors"))
    return True


def _fitted(store: Store, static: StaticVectors) -> StaticVectors | None:
    """Return static vectors fitted to the vectors that there are; None if they are too few."""
    encoded = store.encoded_pmids()
    if len(encoded) < FITTED_FROM:
        return None
    pmids, vectors = store.vectors(_spread(encoded, _FITTED).tolist())
    row_of = {pmid: row for row, pmid in enumerate(pmids.tolist())}
    texts = _by_pmid(store, pmids)
    return static.fitted_to(list(texts.values()), vectors[[row_of[pmid] for pmid in texts]])


def _put(writer: Writer, static: StaticVectors, report: Callable[[float], None]) -> None:
    writer.store.put_static(static, report)
    writer.merge()


def _spread(pmids: Pmids, most: int) -> Pmids:
    """Return PMIDs at even distances: they follow time, and so do topics."""
    return pmids if len(pmids) <= most else pmids[np.arange(most) * len(pmids) // most]


def _texts(store: Store, pmids: Pmids) -> list[str]:
    return list(_by_pmid(store, pmids).values())


def _by_pmid(store: Store, pmids: Pmids) -> dict[int, str]:
    """Return the texts of articles; those whose records are damaged are left out."""
    texts: dict[int, str] = {}
    for some in np.array_split(pmids, max(1, len(pmids) // 500)):
        texts.update((pmid, embedding_text(found)) for pmid, found in store.get_many(some.tolist()).items())
    return texts


def _report(progress: _Report | None, what: str, share: float) -> None:
    if progress is not None:
        progress(Progress(what, 0, 0, share))
