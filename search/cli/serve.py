"""Commands about the server: serve, token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from search.cli.options import common, json_option, settings
from search.errors import ConfigError
from search.extras import install_command

if TYPE_CHECKING:
    from search.config import Config

__all__ = ["mcp", "serve", "token"]


@click.command()
@common
@click.option("--host", help="The address to listen on [default: the config's, this machine only].")
@click.option(
    "--port", type=click.IntRange(0, 65_535), metavar="N", help="The port; 0 takes any that is free [default: 8080]."
)
@click.option("--open", "browse", is_flag=True, help="Open the page in the browser.")
def serve(folder: str | None, config_file: Path | None, host: str | None, port: int | None, browse: bool) -> None:
    """Serve a search page and a REST API.

    Only this machine can reach it, unless `serve:` in the configuration says otherwise. It can save searches; articles
    are added by the other commands.
    """
    from search.web.server import serve as run

    def started(name: str, address: str) -> None:
        click.echo(f"serving {name} at {address} (Ctrl-C stops it)", err=True)
        if browse:
            click.launch(address)

    config, index = settings(config_file, folder)
    run(index, _with_address(config, host, port), started)


@click.command()
@common
@click.option("--http", is_flag=True, help="Serve HTTP at /mcp instead of standard input and output.")
@click.option("--host", help="With --http: the address to listen on [default: the config's, this machine only].")
@click.option(
    "--port", type=click.IntRange(0, 65_535), metavar="N", help="With --http: the port; 0 takes any that is free."
)
def mcp(folder: str | None, config_file: Path | None, http: bool, host: str | None, port: int | None) -> None:
    """Serve language models over the Model Context Protocol.

    Over HTTP, the settings of `search serve` hold: this machine only, unless there is a token.
    """
    if (host is not None or port is not None) and not http:
        raise click.UsageError("--host and --port go with --http")
    config, index = settings(config_file, folder)
    try:
        from search.mcp.tools import run_http, run_stdio
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
@json_option
def token(as_json: bool) -> None:
    """Make a token for the server, and print it with its hash.

    Clients send the token; the configuration holds its hash. The token itself is stored nowhere.
    """
    from search.web.access_tokens import new_token, token_hash

    made = new_token()
    if as_json:
        from search.cli.output import print_json

        print_json({"token": made, "hash": token_hash(made)}, indent=2)
        return
    click.echo(f"token, for the header `Authorization: Bearer ...`: {made}")
    click.echo(f"hash, for `serve: tokens` in the config:  {token_hash(made)}")
