"""`search`: find PubMed articles by meaning."""

from __future__ import annotations

import difflib
import importlib
import os
import sys

import click

from search import __version__
from search.cli.examples import EXAMPLES
from search.errors import SearchError

__all__ = ["cli", "main"]

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
        if examples := EXAMPLES.get(cmd_name):
            command.epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
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
            rows = [(name, command.get_short_help_str(80)) for name, command in commands if command is not None]
            with formatter.section(title):
                formatter.write_dl(rows)


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


def main() -> None:
    """Run the command line: 0 done, 1 an error, 2 wrong usage, 130 interrupted; an error is one line on stderr."""
    try:
        code = cli(prog_name="search", standalone_mode=False)
        sys.stdout.flush()
    except SearchError as error:
        code = _fail(str(error), 1)
    except click.ClickException as error:
        code = _show(error)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted; what was committed is kept: give the same command again to resume", 130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough. Python would complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _show(error: click.ClickException) -> int:
    """Show a usage error in the form of every error, and which help to read."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    hint = f"\n`{context.command_path} --help` shows what it takes" if context is not None else ""
    return _fail(f"{message[:1].lower()}{message[1:].rstrip('.')}{hint}", error.exit_code)


def _fail(message: str, code: int) -> int:
    from search.cli.screen import plain

    click.echo(f"error: {plain(message)}", err=True)
    return code
