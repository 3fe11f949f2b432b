"""`postgresql://user:password@host:port/database?schema=name`, and what may be shown of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, TypeGuard
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from search.errors import ConfigError

__all__ = ["DEFAULT_SCHEMA", "PgAddress", "is_postgres", "parse_address"]

DEFAULT_SCHEMA = "search"

_SCHEMES = ("postgresql://", "postgres://")
_AUTHORITY = re.compile(r"[^/?#]*")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PgAddress(NamedTuple):
    """What libpq connects to, the schema that holds the index, and the address as it is shown: without a password.

    `several` says whether it names more than one host, a primary and its replicas.
    """

    conninfo: str
    schema: str
    name: str
    several: bool


def is_postgres(address: str | Path) -> TypeGuard[str]:
    """Whether an address is that of a database, and not a folder."""
    return isinstance(address, str) and address.startswith(_SCHEMES)


def parse_address(address: str) -> PgAddress:
    """Read an address. `schema` is ours; everything else in it is passed to libpq (several hosts, `sslmode`, ...).

    Several indexes live in one database as schemas. Raises ConfigError if the name of the schema is invalid.

    >>> parse_address("postgresql://me:secret@db/pubmed?schema=trials").name
    'postgresql://me@db/pubmed?schema=trials'
    """
    _check_user(address)
    try:
        parts = urlsplit(address)
        options = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise ConfigError(f"{address.split('@')[-1]} is not a valid address of a database: {error}") from error
    schema = dict(options).get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        raise ConfigError(f"{schema!r} is not a valid name for a schema: use small letters, digits and _")
    user, at, hosts = parts.netloc.rpartition("@")
    shown = [(key, value) for key, value in options if key not in ("password", "sslpassword")]
    named = [hosts, *(value for key, value in options if key in ("host", "hostaddr"))]
    return PgAddress(
        _joined(parts.netloc, parts.path, [(key, value) for key, value in options if key != "schema"]),
        schema,
        _joined(user.partition(":")[0] + at + hosts, parts.path, shown),
        any("," in hosts for hosts in named),
    )


def _check_user(address: str) -> None:
    """Raise ConfigError, without the password, if a character in it ends the user's part of an address."""
    rest = address.partition("://")[2]
    authority = _AUTHORITY.match(rest)[0]  # type: ignore[index]
    path, _, query = rest[len(authority) :].partition("?")
    user, colon, password = authority.partition(":")
    within_password = "@" not in authority and bool(colon) and not password.isdigit() and "@" in path + query
    if within_password or "@" in path or any("@" in part.partition("=")[0] for part in re.split("[&#]", query)):
        raise ConfigError(
            f"the password of {user!r} holds a character that ends it in an address: write / as %2F, ? as %3F, # as "
            "%23 and @ as %40, or keep the password in ~/.pgpass"
        )


def _joined(netloc: str, path: str, options: list[tuple[str, str]]) -> str:
    query = urlencode(options, safe="/,", quote_via=quote)
    return f"postgresql://{netloc}{path}{'?' + query if query else ''}"
