"""Options that several commands share, and the index they open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from search.config import Config, ModelConfig, config_from_dict, load_config

if TYPE_CHECKING:
    from search.api import Index

__all__ = ["FORMATS", "common", "format_option", "model_named", "open_index", "settings"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

FORMATS = ("table", "json", "jsonl", "csv")


def common(function: _Function) -> _Function:
    """Add `--index` and `--config`."""
    function = click.option(
        "--config", "config_file", type=click.Path(path_type=Path), help="The config file [default: ./config.yml]."
    )(function)
    return click.option(
        "--index", "folder", help="The index: a folder, or postgresql://... [default: the config's `index`]."
    )(function)


def format_option(function: _Function) -> _Function:
    """Add `--format`."""
    return click.option(
        "--format", "style", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."
    )(function)


def model_named(text: str | None) -> str | ModelConfig | None:
    """Return the model that `--model` names: a name, or a mapping like that of config.yml, written on one line."""
    if text is None or not text.lstrip().startswith("{"):
        return text
    import yaml

    try:
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise click.BadParameter(f"not a mapping in YAML: {error}", param_hint="--model") from error
    return config_from_dict({"model": mapping}, "--model").model


def settings(config_file: Path | None, folder: str | None) -> tuple[Config, str]:
    """Return the config and the address of the index that are meant."""
    config = load_config(config_file)
    return config, folder or config.index


def open_index(config_file: Path | None, folder: str | None) -> Index:
    """Open the index that is meant."""
    from search.api import Index

    config, path = settings(config_file, folder)
    return Index.open(path, config=config)
