"""Saved searches: asked again, they tell what is new, and they keep what a methods section needs.

Each is a file `saved/NAME.json` in the index folder, replaced atomically. It holds no vectors and no articles.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from search.errors import QueryError
from search.index import View
from search.query.filters import Filters
from search.query.search import Mode

__all__ = ["Run", "SavedSearch", "list_saved", "methods", "read_saved", "write_saved"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One time a search was run: when, on what, and how many articles there were, passed the filters and were new."""

    time: str
    change: int
    generation: int
    model: str
    fingerprint: str
    text_rule: str
    articles: int
    passing: int
    new: int

    @classmethod
    def of(cls, view: View, passing: int, new: int) -> Run:
        """Note the state of the index that a search saw."""
        return cls(
            time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            change=view.change,
            generation=view.manifest.generation,
            model=view.manifest.model,
            fingerprint=view.manifest.fingerprint,
            text_rule=view.manifest.text_rule,
            articles=view.store.counts()["articles"],
            passing=passing,
            new=new,
        )


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its filters, and the runs of it, the first one first."""

    name: str
    question: str
    mode: Mode
    limit: int
    filters: Filters = Filters()
    runs: tuple[Run, ...] = ()


def read_saved(folder: Path, name: str) -> SavedSearch:
    """Read a saved search. Raises QueryError if there is none of that name, or its file is damaged."""
    path = _path(folder, name)
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedSearch)
    except FileNotFoundError:
        known = ", ".join(list_saved(folder)) or "none"
        raise QueryError(f"there is no saved search {name!r}; there are: {known}") from None
    except (msgspec.MsgspecError, OSError) as error:
        raise QueryError(f"{path}: {error}") from error


def write_saved(folder: Path, saved: SavedSearch) -> None:
    """Write a saved search so that a crash leaves the old file or the new one. Raises QueryError for a bad name."""
    path = _path(folder, saved.name)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(saved), indent=2))
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise QueryError(f"{path}: {error.strerror}; the search could not be saved") from error


def list_saved(folder: Path) -> list[str]:
    """Return the names of the saved searches of an index."""
    return sorted(path.stem for path in (folder / "saved").glob("*.json"))


def methods(saved: SavedSearch) -> str:
    """Return what a methods section says of a saved search: how the list was made, and every time it was run."""
    lines = [
        f"Question: {saved.question}",
        f"Ranking: {saved.mode}, the first {saved.limit} results",
        f"Filters: {msgspec.json.encode(saved.filters).decode() if not saved.filters.is_empty else 'none'}",
    ]
    for run in saved.runs:
        lines.append(
            f"Run on {run.time}: {run.articles:,} articles in the index (change {run.change}, generation "
            f"{run.generation}), {run.passing:,} passed the filters, {run.new:,} new; model {run.model} "
            f"({run.fingerprint}), text rule {run.text_rule}"
        )
    return "\n".join(lines)


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise QueryError(f"{name!r} is no name for a saved search: use letters, digits, '.', '_' and '-'")
    return folder / "saved" / f"{name}.json"
