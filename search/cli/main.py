"""`search`: find PubMed articles by meaning."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from search import __version__
from search.errors import SearchError

__all__ = ["cli", "main"]

_COMMANDS = {
    "add": "search.cli.articles:add",
    "copy": "search.cli.copy:copy",
    "delete": "search.cli.articles:delete",
    "encode": "search.cli.articles:encode",
    "evaluate": "search.cli.evaluate:evaluate",
    "export": "search.cli.export:export",
    "facets": "search.cli.find:facets",
    "import-vectors": "search.cli.vectors:import_vectors",
    "mcp": "search.cli.serve:mcp",
    "mesh": "search.cli.mesh:mesh",
    "merge": "search.cli.index:merge",
    "models": "search.cli.models:models",
    "new": "search.cli.saved:new",
    "query": "search.cli.find:query",
    "repair": "search.cli.index:repair",
    "saved": "search.cli.saved:saved",
    "serve": "search.cli.serve:serve",
    "show": "search.cli.find:show",
    "similar": "search.cli.find:similar",
    "strategy": "search.cli.strategy:strategy",
    "status": "search.cli.index:status",
    "sync": "search.cli.sync:sync",
    "token": "search.cli.serve:token",
    "train": "search.cli.train:train",
    "verify": "search.cli.index:verify",
}


class _Commands(click.Group):
    """Commands that are imported when they are called or listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the alphabet."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="search")
def cli() -> None:
    """Find PubMed articles by meaning.

    Add records with `search add`, then ask with `search query "your question"`.
    """


def main() -> None:
    """Run the command line: 0 done, 1 an error that is told in one line, 2 wrong usage, 130 interrupted."""
    try:
        code = cli(standalone_mode=False)
        sys.stdout.flush()
    except SearchError as error:
        code = _fail(str(error), 1)
    except click.ClickException as error:
        code = _show(error)
    except (KeyboardInterrupt, click.Abort):
        code = _fail("interrupted; what was committed is kept, and the same command goes on from there", 130)
    except BrokenPipeError:
        # The reader of a pipe has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)


def _show(error: click.ClickException) -> int:
    """Show a usage error as click does, less what a terminal would obey: it quotes what was typed."""
    from search.cli.output import plain

    shown = io.StringIO()
    error.show(shown)
    click.echo(plain(shown.getvalue()), nl=False, err=True)
    return error.exit_code


def _fail(message: str, code: int) -> int:
    from search.cli.output import plain

    click.echo(f"error: {plain(message)}", err=True)
    return code
