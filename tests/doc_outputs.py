"""What the commands of a documentation page print, beside what the page shows.

`python tests/doc_outputs.py PAGE...` writes what they print now into the pages; run it in an empty folder that has
`indexes/demo`, the index that `scripts/quickstart` makes.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

#: A block of `search` commands and the block of what they print; a comment between them keeps them apart.
#: A server prints nothing to compare, a token is another each time.
PAIR = re.compile(r"```sh\n((?:search (?!serve|mcp|token)[^\n]*\n)+)```\n\n```text\n(.*?)```", re.DOTALL)

_SCORE = re.compile(r"\d+\.\d{2,}")
_STATE = re.compile(r"change \d+, generation \d+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?( UTC|Z|\+00:00)?")


def printed(commands: str) -> str:
    """Return what the commands of a block print, a blank line between two of them."""
    return "\n\n".join(filter(None, (run(shlex.split(line)[1:]) for line in commands.splitlines())))


def run(words: list[str]) -> str:
    """Return what one command prints, without the white space around it."""
    from search.cli.main import main

    out = io.StringIO()
    before = sys.argv
    sys.argv = ["search", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
            main()
    finally:
        sys.argv = before
    return "\n".join(line.rstrip() for line in out.getvalue().strip("\n").splitlines())


def shortened(text: str, shown: str) -> str:
    """Return as many lines of a text as a page shows of it, if it ends there with three dots."""
    lines = shown.rstrip().splitlines()
    if not lines or lines[-1].strip() != "...":
        return text
    return "\n".join([*text.splitlines()[: len(lines) - 1], "..."])


def comparable(text: str) -> tuple[str, list[float]]:
    """Return a text without scores, times and the state of the index, and its scores: they differ from run to run."""
    text = _STATE.sub("STATE", _TIME.sub("TIME", text.strip()))
    return _SCORE.sub("#", text), [float(number) for number in _SCORE.findall(text)]


def rewritten(page: str) -> str:
    """Return a page with what its commands print now."""

    def block(match: re.Match[str]) -> str:
        text = shortened(printed(match[1]), match[2])
        return f"```sh\n{match[1]}```\n\n```text\n{text}\n```"

    return PAIR.sub(block, page)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(rewritten(path.read_text()))
