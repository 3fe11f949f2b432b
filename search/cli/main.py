"""`search`: find PubMed articles by meaning."""

from __future__ import annotations

import difflib
import importlib
import io
import os
import sys
from contextlib import suppress

import click
from click.shell_completion import shell_complete

from search import __version__
from search.cli.help_examples import EXAMPLES
from search.errors import SearchError

__all__ = ["cli", "main"]

_COMPLETION = "_SEARCH_COMPLETE"

#: The commands by what they are for, and where each of them is.
_GROUPS = {
    "Find": {
        "query": "search.cli.find:query",
        "ask": "search.cli.find:ask",
        "table": "search.cli.find:table",
        "similar": "search.cli.find:similar",
        "cited-by": "search.cli.citations:cited_by",
        "references": "search.cli.citations:references",
        "snowball": "search.cli.citations:snowball",
        "facets": "search.cli.find:facets",
        "strategy": "search.cli.strategy:strategy",
        "show": "search.cli.find:show",
        "open": "search.cli.find:open_article",
    },
    "Keep": {
        "saved": "search.cli.saved:saved",
        "new": "search.cli.saved:new",
        "report": "search.cli.saved:report",
        "check": "search.cli.review:check",
        "dedupe": "search.cli.review:dedupe",
        "export": "search.cli.export:export",
    },
    "Load": {
        "add": "search.cli.articles:add",
        "sync": "search.cli.sync:sync",
        "encode": "search.cli.articles:encode",
        "import-vectors": "search.cli.vectors:import_vectors",
        "mesh": "search.cli.mesh:mesh",
        "citations": "search.cli.citations:citations",
        "retractions": "search.cli.citations:retractions",
        "delete": "search.cli.articles:delete",
    },
    "Maintain": {
        "status": "search.cli.index:status",
        "config": "search.cli.index:config",
        "merge": "search.cli.index:merge",
        "verify": "search.cli.index:verify",
        "repair": "search.cli.index:repair",
        "copy": "search.cli.copy:copy",
        "completion": "search.cli.completion:completion",
    },
    "Serve": {
        "serve": "search.cli.serve:serve",
        "mcp": "search.cli.serve:mcp",
        "token": "search.cli.serve:token",
    },
    "Models": {
        "models": "search.cli.models:models",
        "train": "search.cli.train:train",
        "evaluate": "search.cli.evaluate:evaluate",
    },
}

#: No summary of a command is longer: click would cut it.
_SUMMARY = 100

_COMMANDS = {name: place for group in _GROUPS.values() for name, place in group.items()}


class _Commands(click.Group):
    """Commands that are imported when they are called or listed; anything else is a question."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        _add_examples(command, cmd_name)
        for part, below in getattr(command, "commands", {}).items():
            _add_examples(below, f"{cmd_name} {part}")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; `search "a question"` is `search query "a question"`, and a mistyped name is an error."""
        first = args[0]
        if first in _COMMANDS or first.startswith("-"):
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(first, _COMMANDS, n=1, cutoff=0.7)
        if near:
            ctx.fail(f"there is no command {first!r}; did you mean {near[0]!r}? To search for it: search query {first}")
        return "query", self.get_command(ctx, "query"), args

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups."""
        for title, names in _GROUPS.items():
            commands = ((name, self.get_command(ctx, name)) for name in names)
            rows = [(name, command.get_short_help_str(_SUMMARY)) for name, command in commands if command is not None]
            with formatter.section(title):
                formatter.write_dl(rows)


def _add_examples(command: click.Command, name: str) -> None:
    if examples := EXAMPLES.get(name):
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`search COMMAND --help` shows the options of a command, with examples.",
)
@click.version_option(__version__, prog_name="search")
def cli() -> None:
    """Find PubMed articles by meaning.

    Add records with `search add FILE`, then ask: `search "does aspirin prevent bowel cancer?"`.
    """


def _write_utf8() -> None:
    """Write UTF-8 to files and pipes whatever the locale; show what a terminal has no letter for as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            chosen = None if stream.isatty() or os.environ.get("PYTHONIOENCODING") else "utf-8"
            stream.reconfigure(encoding=chosen, errors="replace")


def main() -> None:
    """Run the command line: 0 done, 1 an error, 2 wrong usage, 130 interrupted; an error is one line on stderr."""
    _write_utf8()
    if instruction := os.environ.get(_COMPLETION):
        sys.exit(shell_complete(cli, {}, "search", _COMPLETION, instruction))
    try:
        code = _run()
        sys.stdout.flush()
    except SearchError as error:
        code = _fail(str(error), 1)
    except click.ClickException as error:
        code = _show(error)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted; what was committed is kept: give the same command again to resume", 130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        _drop_output()
        code = 0
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename is not None else "cannot write the output"
        code = _fail(f"{where}: {error.strerror or error}", 1)
        _drop_output()
    sys.exit(code)


def _run() -> int:
    """Run the command and return its exit code; click itself would end the process when a pipe is closed."""
    try:
        with cli.make_context("search", sys.argv[1:]) as context:
            cli.invoke(context)
    except click.exceptions.Exit as stopped:
        return stopped.exit_code
    except SystemExit as stopped:
        if isinstance(stopped.__context__, BrokenPipeError):
            # rich ends the process too.
            raise stopped.__context__ from None
        return stopped.code if isinstance(stopped.code, int) else 0
    return 0


def _drop_output() -> None:
    """Forget what could not be printed: Python would complain again when it closes standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(error: click.ClickException) -> int:
    """Show a usage error in the form of every error, and which help to read."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    hint = f"\n`{context.command_path} --help` shows what it takes" if context is not None else ""
    return _fail(f"{message[:1].lower()}{message[1:].rstrip('.')}{hint}", error.exit_code)


def _fail(message: str, code: int) -> int:
    from search.cli.screen import plain

    with suppress(OSError):
        click.echo(f"error: {plain(message)}", err=True)
    return code
