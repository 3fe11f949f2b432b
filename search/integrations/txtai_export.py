"""An index folder that plain `txtai.Embeddings().load(folder)` opens and searches, by SQL too, with the same scores."""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.article import Article, embedding_text
from search.errors import ExportError
from search.extras import require
from search.models.presets import PRESETS, resolve_model
from search.models.probes import PROBES
from search.models.torch_models import quiet
from search.presentation.notices import notices_of

if TYPE_CHECKING:
    from search.models import Encoder

__all__ = ["write_txtai"]

Vectors = npt.NDArray[np.float32]
_VectorsOf = Callable[[list[int]], tuple[npt.NDArray[np.int64], Vectors]]

_BATCH = 1000

#: Up to so many vectors the copy compares every one, as this package does; above, txtai chooses.
_EXACT_UP_TO = 50_000
#: txtai's vectors must have at least this cosine to this program's.
_SAME = 0.999
_INSTEAD = "docs/integrations.md says how txtai asks this index instead"
#: A score of the copy may differ by so much from the cosine, for vectors are rounded on both sides.
_ROUNDING = 0.02


def write_txtai(
    articles: Iterable[Article],
    vectors_of: _VectorsOf,
    count: int,
    encoder: Encoder,
    output: Path,
    *,
    hybrid: bool = False,
    graph: bool = False,
) -> int:
    """Write articles and their stored vectors as a txtai index and return how many there were.

    `vectors_of` gives the PMIDs and vectors, (n, dimension) float32 with unit rows, of some PMIDs; an article without
    one is left out. `encoder` is of the model that made them; txtai is set up to encode questions as it does, and the
    finished copy is opened and asked one before it is moved in place. Each article has the columns `id` (its PMID),
    `text`, `title`, `year`, `journal`, `doi`, `retracted`, `notices` and `sample`. `hybrid` adds txtai's index of
    words, `graph` its graph of articles that are near each other. Raises ExportError if the folder already exists or
    cannot be written, or txtai cannot use the model.
    """
    if output.exists():
        raise ExportError(f"{output} already exists; give the name of a new folder")
    require("txtai", "an index for txtai", "txtai")
    if graph and importlib.util.find_spec("grandcypher") is None:
        raise ExportError(
            "a graph for txtai needs txtai's own extra for it; install it with: pip install 'txtai[graph]'"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from txtai import Embeddings
    with quiet():
        settings = _settings(Embeddings, encoder)
    waiting: dict[str, Vectors] = {}
    config: dict[str, Any] = {
        "method": "external",
        "transform": lambda texts: np.stack([waiting[text] for text in texts]),
        "content": True,
        "batch": _BATCH,
        **({"hybrid": True} if hybrid else {}),
        **({"graph": True} if graph else {}),
    }
    if count <= _EXACT_UP_TO:
        config["faiss"] = {"components": "IDMap,Flat"}
    written: list[int] = []
    temporary = output.with_name(f"{output.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with closing(Embeddings(config)) as embeddings:
            # A graph asks for the neighbours of every text once more at the end.
            keep = None if graph else 4 * _BATCH
            embeddings.index(_documents(articles, vectors_of, waiting, written, keep))
            if not written:
                raise ExportError("there is nothing to export: no article was found that has a vector")
            # From here on txtai encodes questions itself, with the model the vectors were made with.
            for key in ("method", "transform"):
                embeddings.config.pop(key, None)
            embeddings.config.update(settings)
            embeddings.save(str(temporary))
        with quiet():
            _ask(Embeddings, temporary, encoder, vectors_of, written[0])
        temporary.replace(output)
    except OSError as error:
        raise ExportError(f"{output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(written)


# The model ------------------------------------------------------------------------------------------------------------


def _settings(kind: Any, encoder: Encoder) -> dict[str, Any]:
    """Return the configuration with which txtai makes the model's vectors. Raises ExportError if there is none.

    What txtai makes of a model's files is tried out, in the order of what the user needs least for it: a hub name
    before a path of this machine, transformers before sentence-transformers, the files' own prompts before ours.
    """
    folders = resolve_model(encoder.settings)
    if folders.query != folders.document:
        raise ExportError(f"{encoder.name} has a model of its own for questions, which txtai cannot use; {_INSTEAD}")
    used = encoder.settings
    lengths = used.max_length if isinstance(used.max_length, dict) else {}
    chosen: dict[str, Any] = {} if used.dimension is None else {"dimensionality": used.dimension}
    own = {"instructions": {"query": used.prompts.query or "", "data": used.prompts.document or ""}}
    length = {"maxlength": lengths["document"]} if "document" in lengths else {}
    preset = PRESETS.get(folders.name)
    on_the_hub = folders.revision is not None and "@" not in folders.name
    paths = [preset.document if preset else folders.name] if on_the_hub else []
    reason = ""
    for path in [*paths, str(folders.document.resolve())]:
        for settings in (
            {"path": path, **length, **chosen},
            {"path": path, **length, **chosen, **own},
            {"path": path, "method": "sentence-transformers", **chosen},
            {"path": path, "method": "sentence-transformers", **chosen, **own},
        ):
            reason = _difference(kind, settings, encoder)
            if not reason:
                return settings
    raise ExportError(f"txtai cannot encode questions as {encoder.name} does ({reason}); {_INSTEAD}")


def _difference(kind: Any, settings: dict[str, Any], encoder: Encoder) -> str:
    """Say how txtai's vectors of the probes differ from the model's; an empty text if they do not."""
    probes = [text for text in PROBES if text]
    try:
        with closing(kind(dict(settings))) as embeddings:
            theirs = {
                category: np.asarray(embeddings.batchtransform(probes, category)) for category in ("query", "data")
            }
    except Exception as error:  # whatever transformers, torch, sentence-transformers and txtai raise
        return " ".join(str(error).split())[:200] or type(error).__name__
    ours = {"query": encoder.encode(probes, "query"), "data": encoder.encode(probes, "document")}
    if any(ours[key].shape != theirs[key].shape for key in ours):
        return f"vectors of {theirs['query'].shape[1]} dimensions, not {encoder.dimension}"
    lowest = min(float((ours[key] * theirs[key]).sum(axis=1).min()) for key in ours)
    return "" if lowest >= _SAME else f"a vector with a cosine of {lowest:.3f} to the right one"


def _ask(kind: Any, folder: Path, encoder: Encoder, vectors_of: _VectorsOf, pmid: int) -> None:
    """Open the copy as its user will and ask it one question. Raises ExportError if the score is not the cosine.

    txtai shows no article with a negative score; the one with `pmid` then tells whether it should have.
    """
    question = PROBES[1]
    with closing(kind()) as embeddings:
        embeddings.load(str(folder))
        # All weight on meaning: without words, a score is a cosine.
        answers = embeddings.search(question, 1, weights=1.0)
    found, score = (int(answers[0]["id"]), float(answers[0]["score"])) if answers else (pmid, 0.0)
    _, vectors = vectors_of([found])
    cosine = float(vectors[0] @ encoder.encode([question], "query")[0])
    if abs(score - cosine) > _ROUNDING and (answers or cosine > 0):
        raise ExportError(
            f"txtai scores PMID {found} {score:.3f} for a question to which it has the cosine {cosine:.3f}; nothing is "
            "left of the index that was written for it"
        )


# The articles ---------------------------------------------------------------------------------------------------------


def _documents(
    articles: Iterable[Article],
    vectors_of: _VectorsOf,
    waiting: dict[str, Vectors],
    written: list[int],
    keep: int | None,
) -> Iterator[tuple[int, dict[str, Any], None]]:
    """Yield articles as txtai takes them, with their vectors in `waiting`, which holds the last `keep` of them."""
    rest = iter(articles)
    while batch := list(islice(rest, _BATCH)):
        pmids, vectors = vectors_of([article.pmid for article in batch])
        row_of = {int(pmid): row for row, pmid in enumerate(pmids)}
        for article in batch:
            if article.pmid in row_of:
                written.append(article.pmid)
                text = embedding_text(article)
                waiting.pop(text, None)
                waiting[text] = vectors[row_of[article.pmid]]
                if keep is not None and len(waiting) > keep:
                    del waiting[next(iter(waiting))]
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
