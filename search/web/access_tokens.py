"""Bearer tokens: random ones, of which only a hash is written down."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

__all__ = ["is_known", "new_token", "token_hash"]


def new_token() -> str:
    """Return a new token of 256 random bits."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """Return what the configuration holds of a token. A plain hash is enough: a random token cannot be guessed."""
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def is_known(token: str, hashes: Iterable[str]) -> bool:
    """Whether a token has one of the hashes; takes as long for a wrong one as for a right one."""
    given = token_hash(token)
    return any([hmac.compare_digest(given, known) for known in hashes])
