"""Progress on standard error: a bar in a terminal, a line a minute in a log or a pipe."""

from __future__ import annotations

import time
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING

import click

from search.cli.screen import plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from search.ingest.run_progress import Progress

__all__ = ["Meter", "RowMeter"]

#: Seconds between two lines in a log.
_EVERY = 60.0


class Meter:
    """Shows the progress of an ingestion while it is entered."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._started = self._reported = time.monotonic()
        self._told = False

    def __enter__(self) -> Meter:
        """Begin."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self._bar.add_task("", total=1.0, numbers="")
            self._bar.start()
        self._started = self._reported = time.monotonic()
        return self

    def update(self, progress: Progress) -> None:
        """Show how far the run is."""
        now = time.monotonic()
        if progress.searchable and not self._told:
            self._tell(progress.searchable, now)
        rate = progress.encoded / max(now - self._started, 1e-9)
        if self._bar is None:
            if now - self._reported >= _EVERY:
                self._reported = now
                share = f"{progress.fraction:.0%}, " if progress.fraction else ""
                numbers = f"{progress.read:,} records read, {progress.encoded:,} encoded, {rate:,.0f} a second"
                click.echo(f"{share}{numbers} {plain(progress.file)}".rstrip(), err=True)
            return
        from rich.markup import escape

        self._bar.update(
            self._bar.task_ids[0],
            description=escape(shortened(PurePath(progress.file).name, 24)),
            completed=progress.fraction,
            numbers=f"{progress.read:,} read, {progress.encoded:,} encoded, {rate:,.0f}/s, left"
            if progress.encoded
            else f"{progress.read:,} read, left",
        )

    def _tell(self, searchable: int, now: float) -> None:
        """Say, where a person looks on, that all is searchable; from here on the rate is that of encoding."""
        if self._bar is not None:
            self._bar.console.print(
                f"{searchable:,} articles are searchable ({now - self._started:,.0f} s). Encoding them makes searches "
                "faster; stop any time."
            )
        self._told, self._started = True, now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.stop()


def shortened(name: str, most: int) -> str:
    """Return a name, or its beginning and its end if it is longer."""
    return name if len(name) <= most else f"{name[: most - 12]}\u2026{name[-11:]}"


class RowMeter:
    """Shows how many of so many rows are done while it is entered."""

    def __init__(self) -> None:
        self._bar: Bar | None = None

    def __enter__(self) -> RowMeter:
        """Begin."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
            )
            self._bar.add_task("")
            self._bar.start()
        return self

    def update(self, done: int, total: int) -> None:
        """Show how far it is."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.stop()
