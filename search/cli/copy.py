"""The command that moves an index: copy."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["copy"]


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="The config file [default: ./config.yml]."
)
def copy(source: str, target: str, config_file: Path | None) -> None:
    """Copy an index: a folder to PostgreSQL (postgresql://...), back, or to another of its kind.

    Nothing is encoded again. An interrupted copy goes on when the same command is given again.
    """
    from search.cli.options import open_index
    from search.cli.progress import Meter
    from search.ingest.pipeline import Progress

    with open_index(config_file, source) as index, Meter() as meter:
        total = index.status().articles
        count = index.copy_to(target, progress=lambda share: meter.update(Progress("", int(share * total), 0, share)))
    click.echo(f"{count:,} articles copied", err=True)
