"""Commands about the server: serve, token."""

from __future__ import annotations

from pathlib import Path

import click

from search.cli.options import common, settings
from search.config import Config
from search.errors import ConfigError
from search.extras import install_command

__all__ = ["mcp", "serve", "token"]


@click.command()
@common
@click.option("--host", help="The address to listen at [default: the config's, this machine alone].")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes any that is free [default: 8080].")
def serve(folder: str | None, config_file: Path | None, host: str | None, port: int | None) -> None:
    """Show a page to search with, and answer requests over HTTP.

    Reads only, and answers this machine only, unless the configuration says otherwise (`serve:`), which takes a token.
    """
    from search.web.server import serve as run

    config, index = settings(config_file, folder)
    config = _with_address(config, host, port)
    run(index, config, lambda name, at: click.echo(f"serving {name} at {at} (Ctrl-C stops it)", err=True))


@click.command()
@common
@click.option("--http", is_flag=True, help="Answer over HTTP at /mcp, not over standard input and output.")
@click.option("--host", help="With --http: the address to listen at [default: the config's, this machine alone].")
@click.option("--port", type=click.IntRange(0, 65_535), help="With --http: the port; 0 takes any that is free.")
def mcp(folder: str | None, config_file: Path | None, http: bool, host: str | None, port: int | None) -> None:
    """Let language models search: a server of the Model Context Protocol that only reads.

    Over HTTP it takes the same settings as `search serve`: this machine alone, unless there is a token.
    """
    if (host is not None or port is not None) and not http:
        raise click.UsageError("--host and --port go with --http")
    config, index = settings(config_file, folder)
    try:
        from search.mcp.server import run_http, run_stdio
    except ModuleNotFoundError as error:
        if error.name != "mcp":
            raise
        raise ConfigError(f"the MCP server needs the extra `mcp`: {install_command('mcp')}") from error
    if not http:
        run_stdio(index, config)
        return
    config = _with_address(config, host, port)
    run_http(index, config, lambda name, at: click.echo(f"serving {name} at {at}mcp (Ctrl-C stops it)", err=True))


def _with_address(config: Config, host: str | None, port: int | None) -> Config:
    import msgspec

    given = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
    return msgspec.structs.replace(config, serve=msgspec.structs.replace(config.serve, **given))


@click.command()
def token() -> None:
    """Make a token for the server, and print it and its hash.

    The token is for whoever asks; the hash goes into the configuration. The token itself is written nowhere.
    """
    from search.web.tokens import new_token, token_hash

    made = new_token()
    click.echo(f"token, for the header `Authorization: Bearer ...`: {made}")
    click.echo(f"hash, for `serve: tokens` in the config:  {token_hash(made)}")
