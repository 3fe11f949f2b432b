"""Read a collection in BEIR's layout: corpus.jsonl, queries.jsonl, qrels/*.tsv."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.errors import EvaluationError

__all__ = ["Collection", "load_collection"]

#: The split that is taken where none is named: the first of these that is there.
_SPLITS = ("test", "dev")


@dataclass(frozen=True)
class Collection:
    """Documents, questions and judgements. Only questions with at least one relevant document are in it.

    A document is its title and its text joined by a space; `titles` are the titles, each the beginning of its document.
    """

    name: str
    split: str
    document_ids: tuple[str, ...]
    documents: tuple[str, ...]
    titles: tuple[str, ...]
    query_ids: tuple[str, ...]
    queries: tuple[str, ...]
    judgements: dict[str, dict[str, int]]


def load_collection(folder: Path, split: str | None = None) -> Collection:
    """Read a BEIR folder; a document's text is title and text joined by a space, as an article is embedded.

    Without `split` it is `test`, else `dev`, else the only one. A file may be gzipped. Questions of the split without a
    relevant document are left out, as trec_eval does. Raises EvaluationError naming file and line: a missing file or
    field, an id given twice, a judgement of a document or question that is not there, nothing to judge.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise EvaluationError(f"{folder} is not a folder; give one with corpus.jsonl, queries.jsonl and qrels/")
    documents: dict[str, str] = {}
    titles: list[str] = []
    for where, row in _rows(folder, "corpus.jsonl"):
        title = _field(row, "title", where, needed=False).strip()
        _put(documents, _field(row, "_id", where), f"{title} {_field(row, 'text', where)}".strip(), where)
        titles.append(title)
    queries: dict[str, str] = {}
    for where, row in _rows(folder, "queries.jsonl"):
        _put(queries, _field(row, "_id", where), _field(row, "text", where), where)
    qrels = _qrels_file(folder, split)
    judgements = _judgements(qrels, documents, queries)
    if not judgements:
        raise EvaluationError(f"{qrels} marks no document as relevant; there is nothing to judge by")
    judged = [query for query in queries if query in judgements]
    return Collection(
        name=folder.resolve().name,
        split=qrels.stem,
        document_ids=tuple(documents),
        documents=tuple(documents.values()),
        titles=tuple(titles),
        query_ids=tuple(judged),
        queries=tuple(queries[query] for query in judged),
        judgements={query: judgements[query] for query in judged},
    )


def _put(texts: dict[str, str], key: str, text: str, where: str) -> None:
    if key in texts:
        raise EvaluationError(f"{where} gives the id '{key}' a second time; ids must be distinct")
    texts[key] = text


def _rows(folder: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    path = folder / name
    if not path.exists():
        path = folder / f"{name}.gz"
    if not path.exists():
        raise EvaluationError(f"{folder} has no {name}; a collection needs corpus.jsonl, queries.jsonl and qrels/*.tsv")
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield f"{path} line {number}", _object(line, f"{path} line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise EvaluationError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise EvaluationError(f"{where} is not an object with named fields")
    return row


def _field(row: dict[str, Any], name: str, where: str, *, needed: bool = True) -> str:
    value = row.get(name)
    if value is None and not needed:
        return ""
    if isinstance(value, int) and name == "_id":
        value = str(value)
    if not isinstance(value, str) or (name == "_id" and not value):
        raise EvaluationError(f"{where} has no '{name}'; it has {', '.join(sorted(row)) or 'no field'}")
    return value


def _qrels_file(folder: Path, split: str | None) -> Path:
    files = {path.stem: path for path in sorted((folder / "qrels").glob("*.tsv"))}
    if split is None:
        split = next((name for name in _SPLITS if name in files), next(iter(files)) if len(files) == 1 else None)
    if split is None or split not in files:
        raise EvaluationError(
            f"{folder / 'qrels'} has no judgements of the split '{split or 'test'}'; only {', '.join(files) or 'none'}"
        )
    return files[split]


def _judgements(path: Path, documents: dict[str, str], queries: dict[str, str]) -> dict[str, dict[str, int]]:
    judgements: dict[str, dict[str, int]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        cells = line.split("\t")
        if not line.strip() or (number == 1 and cells[0] == "query-id"):
            continue
        where = f"{path} line {number}"
        if len(cells) != 3 or not cells[2].strip().lstrip("-").isdigit():
            raise EvaluationError(f"{where} is not 'query-id TAB corpus-id TAB grade'")
        query, document, grade = cells[0], cells[1], int(cells[2])
        if query not in queries or document not in documents:
            missing = f"question '{query}'" if query not in queries else f"document '{document}'"
            raise EvaluationError(f"{where} judges the {missing}, which the collection does not hold")
        judgements.setdefault(query, {})[document] = grade
    return {query: grades for query, grades in judgements.items() if max(grades.values()) > 0}
