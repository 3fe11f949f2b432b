"""Hooks of `mkdocs build`: pages that are written from the program itself, and links to files outside of docs/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import griffe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]

#: A link from a page to a file of the repository that is no page: it is shown as its name.
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((?:\.\./)+([^)#]+)(?:#[^)]*)?\)")

_EXAMPLE = re.compile(r"^>>> .*?(?=^\s*$|\Z)", re.MULTILINE | re.DOTALL)


class Examples(griffe.Extension):
    """Shows the examples of docstrings as code."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence the examples of a docstring."""
        if obj.docstring:
            text = obj.docstring.value
            obj.docstring.value = _EXAMPLE.sub(lambda match: f"```pycon\n{match[0].rstrip()}\n```\n", text)


def on_files(files: Files, *, config: Any) -> Files:
    """Add the pages that are not written by hand: one of all commands, and one of the config file."""
    files.append(File.generated(config, "commands.md", content=commands_page()))
    files.append(File.generated(config, "configuration.md", content=configuration_page()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show links to files outside of docs/ as text: the site does not hold them."""
    return _OUTSIDE.sub(lambda match: f"{match[1]} (`{match[2]}`)", markdown)


def commands_page() -> str:
    """Return the `--help` of every command, as a page."""
    from search.cli.main import cli

    parts = ["# Commands\n\nWhat `search COMMAND --help` prints, for every command.\n"]
    for name, command in _commands(cli, "search"):
        with click.Context(command, info_name=name, max_content_width=100) as context:
            parts.append(f"## {name}\n\n```text\n{click.unstyle(command.get_help(context))}\n```\n")
    return "\n".join(parts)


def _commands(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a group, then its commands and theirs, each with its full name."""
    yield name, group
    with click.Context(group, info_name=name) as context:
        for child in group.list_commands(context):
            command = group.get_command(context, child)
            if isinstance(command, click.Group):
                yield from _commands(command, f"{name} {child}")
            elif command is not None and not command.hidden:
                yield f"{name} {child}", command


def configuration_page() -> str:
    """Return the shipped config file, which explains every setting, as a page."""
    text = (ROOT / "config.yml").read_text(encoding="utf-8")
    intro = "`config.yml` as it is shipped, with every setting and its default."
    return f"# Configuration\n\n{intro}\n\n```yaml\n{text}```\n"
