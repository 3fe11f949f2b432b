"""Saved searches: run again, they show what is new, and they keep what a methods section needs.

Each is a small JSON document in the index (`saved/NAME.json` in a folder). It holds no vectors and no articles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from search.errors import NotFoundError, QueryError
from search.files import utc_now
from search.retrieval.filters import Filters
from search.retrieval.request import Mode
from search.storage.backend import SavedFiles, View

__all__ = [
    "LineCount",
    "Run",
    "RunDifference",
    "SavedSearch",
    "begin_saved",
    "delete_saved",
    "difference",
    "methods",
    "read_saved",
    "rename_saved",
    "write_saved",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class LineCount(msgspec.Struct, frozen=True):
    """A line of a strategy and how many articles it selected."""

    number: int
    text: str
    count: int


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One time a search was run: what was asked, when, on what, and how many articles there were, passed and were new.

    `added_words` are those that feedback added to the question, `also_searched` what was searched instead of words that
    were typed; both depend on what the index held. `lines` are those of its strategy. `pmids` are the results in their
    order, of a run for what is new only those that were new (`since` is the change after which they were added).
    `retracted` are those that this search had found and that were retracted when it ran; `newly_retracted` those of
    them that were not, the time before.
    """

    time: str
    change: int
    generation: int
    model: str
    fingerprint: str
    text_rule: str
    articles: int
    passing: int
    new: int
    added_words: tuple[str, ...] = ()
    question: str = ""
    mode: Mode | None = None
    limit: int = 0
    feedback: bool = False
    filters: Filters = Filters()
    lines: tuple[LineCount, ...] = ()
    since: int | None = None
    pmids: tuple[int, ...] = ()
    retracted: tuple[int, ...] = ()
    newly_retracted: tuple[int, ...] = ()
    also_searched: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        view: View,
        passing: int,
        new: int,
        added_words: tuple[str, ...] = (),
        also_searched: tuple[str, ...] = (),
    ) -> Run:
        """Note the state of the index that a search saw."""
        return cls(
            time=utc_now(),
            change=view.change,
            generation=view.manifest.generation,
            model=view.manifest.model,
            fingerprint=view.manifest.fingerprint,
            text_rule=view.manifest.text_rule,
            articles=view.store.counts()["articles"],
            passing=passing,
            new=new,
            added_words=added_words,
            also_searched=also_searched,
        )


class SavedSearch(msgspec.Struct, frozen=True, kw_only=True):
    """A question with its filters, and the runs of it, the first one first."""

    name: str
    question: str
    mode: Mode
    limit: int
    feedback: bool = False
    exact: bool = True
    filters: Filters = Filters()
    runs: tuple[Run, ...] = ()

    @property
    def found(self) -> set[int]:
        """The PMIDs of all that it ever found."""
        return {pmid for run in self.runs for pmid in run.pmids}

    def with_run(self, run: Run, pmids: Sequence[int], retracted: set[int]) -> SavedSearch:
        """Return the search with one more run, what it found, and what of all that it ever found is retracted now."""
        before = {pmid for earlier in self.runs for pmid in earlier.retracted}
        noted = msgspec.structs.replace(
            run,
            question=self.question,
            mode=self.mode,
            limit=self.limit,
            feedback=self.feedback,
            filters=self.filters,
            pmids=tuple(pmids),
            retracted=tuple(sorted(retracted)),
            newly_retracted=tuple(sorted((retracted & self.found) - before)),
        )
        return msgspec.structs.replace(self, runs=(*self.runs, noted))


class RunDifference(msgspec.Struct, frozen=True):
    """What sets two runs of a search apart: their results, and what they were run with."""

    first: int
    second: int
    only_first: tuple[int, ...]
    only_second: tuple[int, ...]
    #: PMIDs that both found, with their ranks in each where these differ.
    moved: tuple[tuple[int, int, int], ...]
    newly_retracted: tuple[int, ...]
    #: What is not the same in both, each with its two values: the index, the model, the question and so on.
    changed: dict[str, tuple[Any, Any]]


#: What of a run says neither what was found nor when.
_CIRCUMSTANCES = (
    "question", "mode", "limit", "feedback", "filters", "lines", "model", "fingerprint", "text_rule", "articles",
    "change", "generation", "passing", "since", "added_words", "also_searched",
)  # fmt: skip


def difference(saved: SavedSearch, first: int, second: int) -> RunDifference:
    """Return what sets two runs apart, given their numbers from 1. Raises QueryError if there is no such run.

    A run for what is new adds to what the runs before it found: what they found is not missing from it.
    """
    for number in (first, second):
        if not 1 <= number <= len(saved.runs):
            raise QueryError(f"the search {saved.name!r} has runs 1 to {len(saved.runs)}, and no run {number}")
    one, other = saved.runs[first - 1], saved.runs[second - 1]
    known, other_known = _known(saved.runs[:first]), _known(saved.runs[:second])
    ranks, others = ({pmid: rank for rank, pmid in enumerate(pmids, start=1)} for pmids in (known, other_known))
    changed = {
        name: (getattr(one, name), getattr(other, name))
        for name in _CIRCUMSTANCES
        if getattr(one, name) != getattr(other, name)
    }
    return RunDifference(
        first=first,
        second=second,
        only_first=tuple(pmid for pmid in known if pmid not in others),
        only_second=tuple(pmid for pmid in other_known if pmid not in ranks),
        moved=tuple((pmid, rank, others[pmid]) for pmid, rank in ranks.items() if others.get(pmid, rank) != rank),
        newly_retracted=tuple(sorted(set(other.retracted) - set(one.retracted))),
        changed=changed,
    )


def _known(runs: Sequence[Run]) -> list[int]:
    """Return what is known after the last of some runs: what the last full run found, and what was new since."""
    start = max((place for place, run in enumerate(runs) if run.since is None), default=0)
    return list(dict.fromkeys(pmid for run in runs[start:] for pmid in run.pmids))


def read_saved(files: SavedFiles, name: str) -> SavedSearch:
    """Read a saved search. Raises NotFoundError if there is no such name, QueryError if it is damaged."""
    try:
        return msgspec.json.decode(files.read(_checked(name)), type=SavedSearch)
    except FileNotFoundError:
        raise _not_found(files, name) from None
    except (ValueError, OSError) as error:
        raise QueryError(f"the saved search {name!r} cannot be read: {error}") from error


def write_saved(files: SavedFiles, saved: SavedSearch) -> None:
    """Write a saved search so that a crash leaves the old one or the new one. Raises QueryError for a bad name."""
    try:
        files.write(_checked(saved.name), msgspec.json.format(msgspec.json.encode(saved), indent=2))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise QueryError(f"the search {saved.name!r} could not be saved: {where}{error.strerror}") from error


def begin_saved(files: SavedFiles, saved: SavedSearch, *, replace: bool) -> SavedSearch:
    """Return a search to save, with the runs so far if the same one is saved under its name.

    Raises QueryError if another one is and `replace` is not set, or the name is invalid.
    """
    if _checked(saved.name) not in files.names() or replace:
        return saved
    known = read_saved(files, saved.name)
    if msgspec.structs.replace(known, runs=()) != saved:
        raise QueryError(
            f"another search is saved as {saved.name!r} ({known.question!r}, run {len(known.runs)} times); choose "
            "another name, or replace it (--replace)"
        )
    return known


def delete_saved(files: SavedFiles, name: str) -> None:
    """Delete a saved search with its runs. Raises NotFoundError if there is no such name."""
    try:
        files.delete(_checked(name))
    except FileNotFoundError:
        raise _not_found(files, name) from None
    except OSError as error:
        raise QueryError(f"the saved search {name!r} could not be deleted: {error.strerror}") from error


def rename_saved(files: SavedFiles, name: str, new: str) -> None:
    """Give a saved search another name; its runs stay.

    Raises NotFoundError if there is no such name, QueryError if there is one of the new name.
    """
    saved = read_saved(files, name)
    if _checked(new) in files.names():
        raise QueryError(f"a search is saved as {new!r} already; choose another name")
    write_saved(files, msgspec.structs.replace(saved, name=new))
    delete_saved(files, name)


def _not_found(files: SavedFiles, name: str) -> NotFoundError:
    known = ", ".join(files.names()) or "none"
    return NotFoundError(f"there is no saved search {name!r}; there are: {known}")


def methods(saved: SavedSearch) -> str:
    """Return what a methods section says of a saved search: how the list was made, and every time it was run."""
    lines = [
        f"Question: {saved.question}",
        f"Ranking: {saved.mode}, the first {saved.limit} results",
        f"Feedback: {'on' if saved.feedback else 'off'}",
        f"Filters: {msgspec.json.encode(saved.filters).decode() if not saved.filters.is_empty else 'none'}",
    ]
    for number, run in enumerate(saved.runs, start=1):
        lines.append(
            f"Run on {run.time} (number {number}): {run.articles:,} articles in the index (change "
            f"{run.change}, generation {run.generation}), {run.passing:,} passed the filters, {run.new:,} new; "
            f"model {run.model} "
            f"({run.fingerprint}), text rule {run.text_rule}"
            + (f"; searched: {', '.join(run.also_searched)}" if run.also_searched else "")
            + (f"; words added by feedback: {', '.join(run.added_words)}" if run.added_words else "")
            + (f"; newly retracted: PMID {', '.join(map(str, run.newly_retracted))}" if run.newly_retracted else "")
        )
    return "\n".join(lines)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise QueryError(f"{name!r} is not a valid name for a saved search: use letters, digits, '.', '_' and '-'")
    return name
