"""Fetching MeSH of the current year from NLM: descriptors and supplementary concepts."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import httpx

from search.config import NlmConfig
from search.errors import SourceError
from search.files import cache_folder
from search.pubmed.download import AbsentFileError, download
from search.pubmed.http import Patience, TransientError, make_client, persist
from search.retrieval.mesh_tree import add_mesh

__all__ = ["update_mesh"]

_KINDS = ("desc", "supp")

#: Somebody waits for the answer: after a quarter of a minute without any, the network is not there.
_ATTEMPTS = 5


def update_mesh(
    config: NlmConfig,
    *,
    say: Callable[[str], None] = lambda _: None,
    today: date | None = None,
    patience: Patience | None = None,
) -> tuple[int, int]:
    """Keep NLM's MeSH of this year, or of last year while that is not out, for this installation.

    The two files are downloaded, resumed where an earlier run broke off, checked, read and removed. `say` is given
    what is done. Returns how many headings and supplementary concepts there are. Raises SourceError if a file cannot
    be fetched; what was there stays.
    """
    year = (today or date.today()).year
    patience = patience or Patience(attempts=_ATTEMPTS)
    client = make_client(config.timeout, headers={"Accept-Encoding": "identity"}, redirects=True)
    try:
        try:
            paths = _fetch_year(client, config.mesh_url, year, say, patience)
        except AbsentFileError:
            say(f"NLM does not have MeSH {year} yet")
            paths = _fetch_year(client, config.mesh_url, year - 1, say, patience)
    finally:
        client.close()
    say("reading")
    try:
        return add_mesh(paths)
    finally:
        for path in paths:
            path.unlink(missing_ok=True)


def _fetch_year(
    client: httpx.Client, url: str, year: int, say: Callable[[str], None], patience: Patience
) -> list[Path]:
    """Return the files of a year. Raises AbsentFileError if NLM does not have them."""
    folder = cache_folder() / "mesh-downloads"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"{folder}: {error.strerror}") from error
    paths = []
    for kind in _KINDS:
        name = f"{kind}{year}.gz"
        say(f"downloading {name}")
        address = f"{url.rstrip('/')}/{name}"
        paths.append(persist(name, partial(_fetch, client, address, folder / name), patience))
    return paths


def _fetch(client: httpx.Client, address: str, path: Path) -> Path:
    part = path.with_name(f"{path.name}.part")
    download(client, address, part, threading.Event())
    _check(part)
    part.replace(path)
    return path


def _check(part: Path) -> None:
    """Raise TransientError, and remove the file, unless it unpacks to its end with the right checksum."""
    try:
        with gzip.open(part, "rb") as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        part.unlink(missing_ok=True)
        raise TransientError(f"the download is damaged ({error})") from error
