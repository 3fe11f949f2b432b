"""Commands about the server: serve, token."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, settings

__all__ = ["serve", "token"]


@click.command()
@common
@click.option("--host", help="The address to listen at [default: the config's, this machine alone].")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes any that is free [default: 8080].")
def serve(folder: str | None, config_file: Path | None, host: str | None, port: int | None) -> None:
    """Show a page to search with, and answer requests over HTTP.

    Reads only, and answers this machine only, unless the configuration says otherwise (`serve:`), which takes a token.
    """
    import msgspec

    from search.web.server import serve as run

    config, index = settings(config_file, folder)
    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    config = msgspec.structs.replace(config, serve=msgspec.structs.replace(config.serve, **given))
    run(index, config, lambda name, at: click.echo(f"serving {name} at {at} (Ctrl-C stops it)", err=True))


@click.command()
def token() -> None:
    """Make a token for the server, and print it and its hash.

    The token is for whoever asks; the hash goes into the configuration. The token itself is written nowhere.
    """
    from search.web.tokens import new_token, token_hash

    made = new_token()
    click.echo(f"token, for the header `Authorization: Bearer ...`: {made}")
    click.echo(f"hash, for `serve: tokens` in the config:  {token_hash(made)}")
