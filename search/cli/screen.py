"""The screen: its width, its pager, and text that cannot steer it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from search.normalize import UNSAFE
from search.presentation.notices import Notice

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["badge", "badge_style", "console", "paged", "plain", "print_wrapped"]

#: Lines of text that are longer are hard to read.
_WIDEST = 100


def plain(text: str) -> str:
    """Return the text without anything that a terminal would obey."""
    readable = text.encode("utf-8", "replace").decode()
    return UNSAFE.sub(lambda match: match[0] if match[0] in "\t\n" else "", readable)


def badge(notice: Notice) -> str:
    """Return a notice in a few words: `RETRACTED: PMID 20137807`, `erratum: PMID 5`."""
    label = notice.label.upper() if notice.severity == "danger" else notice.label
    return label if notice.pmid is None else f"{label}: PMID {notice.pmid}"


def badge_style(notice: Notice) -> str:
    """Return the colour of a notice."""
    return "bold red" if notice.severity == "danger" else "yellow"


def console() -> Console:
    """Return the console of standard output: what `paged` has opened, or a new one."""
    from rich.console import Console

    if _CONSOLES:
        return _CONSOLES[-1]
    # A pipe has no width.
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)


_PIPE_WIDTH = 100

_CONSOLES: list[Console] = []


@contextmanager
def paged() -> Iterator[None]:
    """Show output in a pager if standard output is a terminal; `PAGER=cat` shows it directly."""
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        yield
        return
    # As git does it: less ends by itself if one screen is enough, and passes colours and links on.
    os.environ.setdefault("LESS", "FRX")
    screen = console()
    _CONSOLES.append(screen)
    try:
        with screen.pager(styles=True, links=True):
            yield
    finally:
        _CONSOLES.pop()


def print_wrapped(screen: Console, text: Text, indent: int = 0, lead: str = "") -> None:
    """Print a text in lines that fit the screen; `lead` stands in the margin of the first."""
    from rich.text import Text

    width = max(20, min(screen.width, _WIDEST) - indent)
    for number, line in enumerate(text.wrap(screen, width)):
        line.rstrip()
        margin = lead if number == 0 else ""
        # Written unchanged: rich would cut lines that are wider than the screen.
        screen.print(Text(margin.ljust(indent)) + line, soft_wrap=True)
