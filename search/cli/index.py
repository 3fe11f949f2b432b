"""Commands about the index itself: status, merge, verify, repair, config."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, json_option, open_index, settings, source_of_index, text_or_json

if TYPE_CHECKING:
    from search.api import Status

#: From here on, a length in tokens means that there is no limit.
_NO_LIMIT = 1_000_000

__all__ = ["config", "merge", "repair", "status", "verify"]


@click.command()
@common
@text_or_json
def status(folder: str | None, config_file: Path | None, style: str) -> None:
    """Show what the index contains and what remains to be done."""
    import msgspec

    from search.cli.output import print_json
    from search.cli.screen import plain

    with open_index(config_file, folder) as index:
        state = index.status()
    if style == "json":
        print_json(msgspec.to_builtins(state), indent=2)
        return
    unmerged = f"; {state.unmerged:,} not merged yet" if state.unmerged else ""
    lines = [
        f"index     {state.folder}, made {state.created}",
        f"articles  {state.articles:,} searchable, {state.articles - state.stale:,} encoded, {state.deleted:,} deleted"
        + ("; `search encode` makes searches faster" if state.stale else ""),
        f"model     {state.model} ({state.fingerprint[:12]}), {state.dimension} dimensions, {state.stored_vectors}",
        f"vectors   {state.vector_index}{unmerged}",
        f"estimates {_estimates(state)}",
        f"text      {state.text_rule}",
        f"citations {state.citations:,}",
        f"disk      {sum(state.bytes.values()) / 1e6:,.1f} MB",
        f"files     {state.files:,} read" + "".join(f"\n          incomplete: {n}" for n in state.incomplete_files),
    ]
    lines[3:3] = _model_lines(state)
    if state.nlm is not None:
        lines.append(f"PubMed    {state.nlm.part}, up to {state.nlm.last}, applied {state.nlm.last_applied}")
    click.echo(plain("\n".join(lines)))


def _estimates(state: Status) -> str:
    """Return how articles are found that are not encoded."""
    if state.static_vectors == "none":
        return "none: articles that are not encoded are found by their words"
    return f"static vectors, {state.static_vectors}"


def _model_lines(found: Status) -> list[str]:
    """Return how the model is used, and what a user should know of it."""
    used = found.model_settings
    if used is None:
        return []
    lengths = used.max_length if isinstance(used.max_length, dict) else {}
    prompts = {"query": used.prompts.query, "document": used.prompts.document}
    facts = [
        *([f"revision {used.revision[:12]}"] if used.revision else []),
        *([f"pooling {used.pooling}"] if used.pooling else []),
        *(f"{kind} {length} tokens" for kind, length in lengths.items() if length < _NO_LIMIT),
        *(f"{kind} prompt {prompt!r}" for kind, prompt in prompts.items() if prompt),
        *([f"first {used.dimension} dimensions"] if used.dimension else []),
    ]
    return [f"          {', '.join(facts)}", *(f"          note: {note}" for note in found.model_notes)]


@click.command()
@common
@text_or_json
def config(folder: str | None, config_file: Path | None, style: str) -> None:
    """Show the active settings, and where they come from."""
    import msgspec

    from search.cli.output import print_json
    from search.cli.screen import plain
    from search.config import find_config

    values, address = settings(config_file, folder)
    file = config_file or find_config()
    if style == "json":
        print_json({"file": str(file.absolute()) if file else None, "index": address, "settings": values}, indent=2)
        return
    lines = [
        f"config  {file.absolute() if file else 'none: these are the defaults'}",
        f"index   {address if '://' in address else Path(address).absolute()} (from "
        f"{source_of_index(config_file, folder)})",
    ]
    for key, value in msgspec.to_builtins(values).items():
        if isinstance(value, dict):
            lines += [f"{key}:", *(f"  {name}: {_yaml(part)}" for name, part in value.items())]
        elif key != "index":
            lines.append(f"{key}: {_yaml(value)}")
    click.echo(plain("\n".join(lines)))


def _yaml(value: object) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@click.command()
@common
@json_option
def merge(folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Merge changes into the search indexes now instead of when due.

    Searches are a little faster then; nothing else changes.
    """
    from search.cli.output import print_json

    with open_index(config_file, folder) as index:
        index.merge()
        generation = index.status().generation
    if as_json:
        print_json({"generation": generation}, indent=2)
    else:
        click.echo(f"generation {generation} is active", err=True)


@click.command()
@common
@json_option
def verify(folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Read the whole index and cross-check its parts.

    The exit code is 1 if there are problems.
    """
    from search.api import Index

    values, address = settings(config_file, folder)
    problems = Index.verify(address, config=values)
    count = f"{len(problems):,} problem{'' if len(problems) == 1 else 's'}"
    _print_problems(problems, count if problems else "no problems found", as_json)


@click.command()
@common
@json_option
def repair(folder: str | None, config_file: Path | None, as_json: bool) -> None:
    """Rebuild search indexes, terms and dates from the records.

    Encodes nothing: a damaged vector is removed, and `search encode` makes it again. Exit code 1 if problems are left.
    """
    from search.api import Index

    values, address = settings(config_file, folder)
    problems = Index.repair(address, config=values)
    _print_problems(
        problems, f"everything else is rebuilt; {len(problems):,} left" if problems else "no problems left", as_json
    )


def _print_problems(problems: list[str], summary: str, as_json: bool) -> None:
    """Print what is wrong with an index, and end with exit code 1 if anything is."""
    from search.cli.output import print_json
    from search.cli.screen import plain

    if as_json:
        print_json({"problems": problems}, indent=2)
    else:
        for problem in problems:
            click.echo(plain(problem))
        click.echo(summary, err=True)
    sys.exit(1 if problems else 0)
