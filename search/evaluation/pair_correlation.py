"""Judge a model by pairs: whether its cosines tell texts that belong together from texts that do not.

The measure is the one published for the reference model: the Pearson correlation (x100) of the cosines with 1 for true
pairs and 0 for as many pairs whose second texts are shuffled.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import EvaluationError
from search.evaluation.approximate import IndexRecall, index_recall
from search.evaluation.measures import pearson, spearman
from search.models.tokens import Text

__all__ = ["PAIR_SETS", "PUBLISHED", "Encode", "PairScores", "PairSet", "evaluate_pairs", "load_pair_set", "shuffled"]

#: Texts and what they are ("query" or "document") -> float32 rows of unit length.
Encode = Callable[[Sequence[Text], Any], NDArray[np.float32]]


@dataclass(frozen=True)
class PairColumns:
    """A published set of pairs: what it is called, where on the hub it is and the columns of its two texts."""

    title: str
    repository: str
    part: str
    split: str
    first: str
    second: str


#: The sets of the two published tables, by the name that `load_pair_set` takes. The reference model's first card names
#: zxvix's subset, the later one awinml's, each with figures of its own.
PAIR_SETS = {
    "pubmedqa": PairColumns("PubMed QA", "qiaojin/PubMedQA", "pqa_labeled", "train", "question", "long_answer"),
    "subset": PairColumns("PubMed Subset", "awinml/pubmed_abstract_3_1k", "default", "test", "title", "text"),
    "subset-zxvix": PairColumns("PubMed Subset (zxvix)", "zxvix/pubmed_subset_new", "default", "test", "title", "text"),
    "summary": PairColumns("PubMed Summary", "armanc/scientific_papers", "pubmed", "validation", "article", "abstract"),
}

#: Published Pearson x100 (model cards of neuml/pubmedbert-base-embeddings), by model, in the order of PAIR_SETS.
_PUBLISHED = {
    "sentence-transformers/all-MiniLM-L6-v2": (90.40, 95.92, 95.86, 94.07),
    "BAAI/bge-base-en-v1.5": (91.02, 95.82, 95.60, 94.49),
    "thenlper/gte-base": (92.97, 96.90, 96.83, 96.24),
    "neuml/pubmedbert-base-embeddings": (93.27, 97.00, 97.07, 96.58),
    "pritamdeka/S-PubMedBert-MS-MARCO": (90.86, 93.68, 93.33, 93.54),
}

#: The same by model and set.
PUBLISHED = {model: dict(zip(PAIR_SETS, figures, strict=True)) for model, figures in _PUBLISHED.items()}


@dataclass(frozen=True)
class PairSet:
    """The two texts of every pair of a set, row by row; `skipped` counts rows left out since a text was empty."""

    name: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    skipped: int = 0

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.first)


@dataclass(frozen=True)
class PairScores:
    """Correlations x100 of one model on one set: mean and standard deviation over the shuffles.

    `index` is what an index folder of the second texts finds of their exact ranking for the first.
    """

    model: str
    pair_set: str
    pairs: int
    shuffles: int
    pearson: float
    pearson_spread: float
    spearman: float
    spearman_spread: float
    index: IndexRecall | None = None


def evaluate_pairs(
    encode: Encode, pair_set: PairSet, *, model: str = "", shuffles: int = 5, seed: int = 0
) -> PairScores:
    """Score one model on one set of pairs.

    The first texts are encoded as queries and the second as documents, which makes a difference for two-tower models
    only. Every shuffle moves each second text to another row. Raises EvaluationError for fewer than two pairs.
    """
    if len(pair_set) < 2:
        raise EvaluationError(f"{pair_set.name} has {len(pair_set)} pair; a correlation needs two or more")
    if shuffles < 1:
        raise EvaluationError(f"{shuffles} shuffles give no score; ask for one or more")
    first = encode(pair_set.first, "query")
    second = encode(pair_set.second, "document")
    labels = np.repeat([1.0, 0.0], len(pair_set))
    true = np.einsum("ij,ij->i", first, second)
    linear, ranked = [], []
    for shuffle in range(shuffles):
        false = np.einsum("ij,ij->i", first, second[shuffled(len(pair_set), seed + shuffle)])
        cosines = np.concatenate([true, false])
        linear.append(100 * pearson(cosines, labels))
        ranked.append(100 * spearman(cosines, labels))
    return PairScores(
        model=model,
        pair_set=pair_set.name,
        pairs=len(pair_set),
        shuffles=shuffles,
        pearson=float(np.mean(linear)),
        pearson_spread=float(np.std(linear)),
        spearman=float(np.mean(ranked)),
        spearman_spread=float(np.std(ranked)),
        index=index_recall(first, second),
    )


def shuffled(count: int, seed: int) -> NDArray[np.intp]:
    """Return a random order of `count` rows in which no row keeps its place: a random cycle through all of them."""
    rng = np.random.default_rng(seed)
    cycle = rng.permutation(count)
    order = np.empty(count, dtype=np.intp)
    order[cycle] = np.roll(cycle, 1)
    return order


def load_pair_set(path: Path | Sequence[Path], name: str, *, skip_empty: bool = False) -> PairSet:
    """Read a set of pairs from files in its published layout: JSON lines (gzipped or not), JSON, or Parquet.

    `name` is one of `PAIR_SETS`, or `FIRST:SECOND` for a file with two other columns. Column names are compared without
    regard to capitals; PubMedQA's own `ori_pqal.json` (PMID -> QUESTION, LONG_ANSWER, ...) is read as it is. Rows with
    an empty text are an error, or with `skip_empty` left out and counted. Raises EvaluationError naming file and row.
    """
    paths = [Path(path)] if isinstance(path, (str, Path)) else [Path(part) for part in path]
    columns = _columns(name)
    first: list[str] = []
    second: list[str] = []
    skipped = 0
    for part in paths:
        for where, row in _rows(part, columns):
            if skip_empty and any(column in row and not str(row[column] or "").strip() for column in columns):
                skipped += 1
                continue
            texts = [_text(row, column, where) for column in columns]
            first.append(texts[0])
            second.append(texts[1])
    if len(first) < 2:
        raise EvaluationError(
            f"{paths[0] if paths else name} has {len(first)} row(s) of pairs; a correlation needs two or more"
        )
    return PairSet(name, tuple(first), tuple(second), skipped)


def _columns(name: str) -> tuple[str, str]:
    if name in PAIR_SETS:
        return PAIR_SETS[name].first, PAIR_SETS[name].second
    first, _, second = name.partition(":")
    if not first or not second:
        raise EvaluationError(
            f"'{name}' is not a set of pairs; known are {', '.join(PAIR_SETS)}, or give COLUMN:COLUMN"
        )
    return first.lower(), second.lower()


def _text(row: dict[str, Any], column: str, where: str) -> str:
    value = row.get(column)
    if column not in row:
        raise EvaluationError(f"{where} has no column '{column}'; it has {', '.join(sorted(row)) or 'none'}")
    if not isinstance(value, str) or not value.strip():
        raise EvaluationError(f"{where} has no text in '{column}'; remove the row or repair the file")
    return value


def _rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield where a row stands and its columns, names in small letters."""
    try:
        if path.suffix == ".parquet":
            yield from _parquet_rows(path, columns)
            return
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as stream:
            if path.name.removesuffix(".gz").endswith(".json"):
                yield from _json_rows(path, json.load(stream))
                return
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path} line {number}", _lowered(json.loads(line), f"{path} line {number}")
    except FileNotFoundError as error:
        raise EvaluationError(f"{path} does not exist; give the local file of the set") from error
    except (OSError, EOFError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error


def _json_rows(path: Path, content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(content, dict):
        rows = [(f"{path} key {key}", row) for key, row in content.items()]
    elif isinstance(content, list):
        rows = [(f"{path} row {number}", row) for number, row in enumerate(content, 1)]
    else:
        raise EvaluationError(f"{path} holds neither a list nor a mapping of rows")
    for where, row in rows:
        yield where, _lowered(row, where)


def _lowered(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise EvaluationError(f"{where} is not a row of named columns")
    return {str(name).lower(): value for name, value in row.items()}


def _parquet_rows(path: Path, columns: tuple[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise EvaluationError(f"{path} needs pyarrow to be read (`pip install pyarrow`), or give JSON lines") from error
    file = parquet.ParquetFile(path)
    names = {name.lower(): name for name in file.schema_arrow.names}
    missing = [column for column in columns if column not in names]
    if missing:
        raise EvaluationError(f"{path} has no column '{missing[0]}'; it has {', '.join(sorted(names))}")
    number = 0
    for batch in file.iter_batches(columns=[names[column] for column in columns]):
        for row in batch.to_pylist():
            number += 1
            yield f"{path} row {number}", _lowered(row, f"{path} row {number}")
