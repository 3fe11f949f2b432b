"""Completion of commands, options and names in a shell: completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands.

    \b
    bash:  search completion bash >> ~/.bashrc
    zsh:   search completion zsh >> ~/.zshrc
    fish:  search completion fish > ~/.config/fish/completions/search.fish
    """  # noqa: D301
    from search.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(cli, {}, "search", "_SEARCH_COMPLETE").source())
