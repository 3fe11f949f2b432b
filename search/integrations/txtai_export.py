"""An index folder that plain `txtai.Embeddings().load(folder)` opens and searches, by SQL too, with the same scores."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from search.article import Article, embedding_text
from search.errors import ExportError
from search.extras import require
from search.presentation.notices import notices_of

__all__ = ["write_txtai"]

Vectors = npt.NDArray[np.float32]

_BATCH = 1000

#: Up to so many vectors the copy compares every one, as this package does; above, txtai chooses.
_EXACT_UP_TO = 50_000


def write_txtai(
    articles: Iterable[Article],
    vectors_of: Callable[[list[int]], tuple[npt.NDArray[np.int64], Vectors]],
    count: int,
    model: Path,
    output: Path,
) -> int:
    """Write articles and their stored vectors as a txtai index and return how many there were.

    `vectors_of` gives the PMIDs and vectors, (n, dimension) float32 with unit rows, of some PMIDs; an article without
    one is left out. `model` is the folder of the model that will encode questions. Each article has the columns `id`
    (its PMID), `text`, `title`, `year`, `journal`, `doi`, `retracted`, `notices` and `sample`. Raises ExportError if
    the folder already exists or cannot be written.
    """
    if output.exists():
        raise ExportError(f"{output} already exists; give the name of a new folder")
    require("txtai", "an index for txtai", "txtai")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai import Embeddings
    waiting: dict[str, Vectors] = {}
    config: dict[str, Any] = {
        "method": "external",
        "transform": lambda texts: np.stack([waiting[text] for text in texts]),
        "content": True,
        "batch": _BATCH,
    }
    if count <= _EXACT_UP_TO:
        config["faiss"] = {"components": "IDMap,Flat"}
    embeddings = Embeddings(config)
    written = [0]
    temporary = output.with_name(f"{output.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        embeddings.index(_documents(articles, vectors_of, waiting, written))
        if not written[0]:
            raise ExportError("there is nothing to export: no article was found that has a vector")
        # From here on txtai encodes questions itself, with the model the vectors were made with.
        for key in ("method", "transform"):
            embeddings.config.pop(key, None)
        embeddings.config["path"] = str(model.resolve())
        embeddings.save(str(temporary))
        temporary.replace(output)
    except OSError as error:
        raise ExportError(f"{output}: {error.strerror or error}") from error
    finally:
        embeddings.close()
        shutil.rmtree(temporary, ignore_errors=True)
    return written[0]


def _documents(
    articles: Iterable[Article],
    vectors_of: Callable[[list[int]], tuple[npt.NDArray[np.int64], Vectors]],
    waiting: dict[str, Vectors],
    written: list[int],
) -> Iterator[tuple[int, dict[str, Any], None]]:
    rest = iter(articles)
    while batch := list(islice(rest, _BATCH)):
        pmids, vectors = vectors_of([article.pmid for article in batch])
        row_of = {int(pmid): row for row, pmid in enumerate(pmids)}
        for article in batch:
            if article.pmid in row_of:
                written[0] += 1
                text = embedding_text(article)
                waiting[text] = vectors[row_of[article.pmid]]
                yield article.pmid, _record(article, text), None


def _record(article: Article, text: str) -> dict[str, Any]:
    return {
        "text": text,
        "title": article.title,
        "year": article.year,
        "journal": article.journal_name,
        "doi": article.doi,
        "retracted": article.is_retracted,
        "notices": "; ".join(map(str, notices_of(article))),
        "sample": article.is_sample,
    }
