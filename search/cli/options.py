"""Options that several commands share, and the index they open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.errors import IndexFolderError, SearchError

if TYPE_CHECKING:
    from search.api import Index
    from search.config import Config, ModelConfig

__all__ = [
    "FORMATS",
    "common",
    "config_option",
    "format_option",
    "formats",
    "json_option",
    "model_named",
    "open_index",
    "results_option",
    "settings",
    "source_of_index",
    "text_or_json",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

FORMATS = ("text", "json", "jsonl", "csv")

_JSON = "search.json"

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The config file [default: the nearest config.yml; `search config` shows which].",
)


exact_option = click.option(
    "--exact", is_flag=True, default=None, help="Search the words as typed: correct and expand nothing."
)


def common(function: _Function) -> _Function:
    """Add `--index` and `--config`."""
    return click.option(
        "--index", "folder", help="The index: a folder, or postgresql://... [default: the config's `index`]."
    )(config_option(function))


def format_option(function: _Function) -> _Function:
    """Add `--format` and `--json`."""
    return formats(*FORMATS)(function)


def results_option(default: int | None = None, *, help: str) -> Callable[[_Function], _Function]:
    """Add `-n`, how many results; `help` says of what."""
    return click.option(
        "-n",
        "--results",
        "limit",
        type=click.IntRange(min=1),
        metavar="N",
        default=default,
        show_default=default is not None,
        help=help,
    )


def text_or_json(function: _Function) -> _Function:
    """Add `--format text|json` and `--json`."""
    return formats("text", "json")(function)


def formats(*names: str, explained: str = "How to print.") -> Callable[[_Function], _Function]:
    """Add `--format` with these names, of which the first is the default, and `--json`."""

    def note(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        ctx.meta[_JSON] = value

    def chosen(ctx: click.Context, _: click.Parameter, value: str) -> str:
        return "json" if ctx.meta.get(_JSON) else value

    def add(function: _Function) -> _Function:
        function = click.option(
            "--json", is_flag=True, is_eager=True, expose_value=False, callback=note, help="Same as `--format json`."
        )(function)
        return click.option(
            "--format",
            "style",
            type=click.Choice(names),
            default=names[0],
            show_default=True,
            callback=chosen,
            help=explained,
        )(function)

    return add


#: For commands that change the index and report what they did.
json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


def model_named(text: str | None) -> str | ModelConfig | None:
    """Return the model that `--model` names: a name, or a mapping like that of config.yml, written on one line."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    import yaml

    from search.config import config_from_dict

    try:
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.BadParameter(f"not a mapping in YAML: {error}", param_hint="--model") from error
    return config_from_dict({"model": mapping}, "--model").model


def settings(config_file: Path | None, folder: str | None) -> tuple[Config, str]:
    """Return the config and the address of the index to use: `--index`, else `$SEARCH_INDEX`, else the config's."""
    from search.config import load_config

    config = load_config(config_file)
    return config, folder or os.environ.get("SEARCH_INDEX") or config.index


def source_of_index(config_file: Path | None, folder: str | None) -> str:
    """Return where the address of the index comes from: `--index`, `$SEARCH_INDEX`, a config file or the default."""
    if folder:
        return "--index"
    if os.environ.get("SEARCH_INDEX"):
        return "$SEARCH_INDEX"
    from search.config import find_config

    file = config_file or find_config()
    return f"`index` in {file.absolute()}" if file else "the default; there is no config.yml"


def open_index(config_file: Path | None, folder: str | None) -> Index:
    """Open the index. Raises IndexFolderError that names the absolute path and where it came from."""
    from search.api import Index

    config, address = settings(config_file, folder)
    if "://" not in address and not Path(address).exists():
        where = source_of_index(config_file, folder)
        raise IndexFolderError(
            f"there is no index at {Path(address).absolute()} (from {where}); `search add FILE` makes one"
        )
    index = Index.open(address, config=config)
    index.brief = True
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(lambda: _say_what_was_left_out(index))
    return index


def _say_what_was_left_out(index: Index) -> None:
    """Say at the end of a command which articles it went on without."""
    if (pmids := index.damaged) and not isinstance(sys.exc_info()[1], SearchError):
        from search.messages import left_out

        click.echo(f"warning: {left_out(pmids)}", err=True)
