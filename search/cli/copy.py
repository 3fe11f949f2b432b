"""Copy an index to another place: copy."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import config_option, json_option, open_index

__all__ = ["copy"]


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@config_option
@json_option
def copy(source: str, target: str, config_file: Path | None, as_json: bool) -> None:
    """Copy an index to another folder, or to PostgreSQL and back.

    Encodes nothing again. To resume an interrupted copy, give the same command again.
    """
    from search.cli.output import print_json
    from search.cli.progress import Meter
    from search.ingest.run_progress import Progress

    with open_index(config_file, source) as index, Meter() as meter:
        total = index.count()
        count = index.copy_to(target, progress=lambda share: meter.update(Progress("", int(share * total), 0, share)))
    if as_json:
        print_json({"from": source, "to": target, "articles": count}, indent=2)
    else:
        click.echo(f"{count:,} article{'' if count == 1 else 's'} copied", err=True)
