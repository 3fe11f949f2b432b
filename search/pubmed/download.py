"""Downloading a file of NLM's, resumed where it broke off."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import httpx

from search.errors import SourceError
from search.pubmed.http import TransientError, check_status, failure

__all__ = ["RESERVE", "AbsentFileError", "download"]

#: What stays free on a disk that files are downloaded to, in bytes: the index beside them grows too.
RESERVE = 500_000_000

#: No file of NLM's comes near this, in bytes.
_MOST_BYTES = 1 << 30


class AbsentFileError(SourceError):
    """The server has no file at an address."""


def download(client: httpx.Client, address: str, part: Path, stop: threading.Event, *, size: int = 0) -> None:
    """Append the missing bytes to a .part file. Its content is not to be trusted before it is checked as a whole.

    `size` is about how many bytes the file has, if that is known. Raises TransientError where another attempt may help,
    AbsentFileError if there is no such file, and SourceError if it is too large or the disk is full.
    """
    name = part.name.removesuffix(".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    gained = 0
    try:
        with client.stream("GET", address, headers=headers) as response:
            if response.status_code == 416 and have:
                # Nothing is missing, or it is not the same file any more: checking it tells.
                return
            if response.status_code == 404:
                raise AbsentFileError(f"{response.request.url.host}{response.request.url.path}: there is no such file")
            check_status(response, 200, 206)
            resumed = response.headers.get("content-range", "").startswith(f"bytes {have}-")
            if response.status_code == 206 and not resumed:
                part.unlink(missing_ok=True)
                raise TransientError("the server sent another part of the file than it was asked for")
            _check_space(part.parent, int(response.headers.get("content-length") or size), name)
            with part.open("ab" if response.status_code == 206 else "wb") as stream:
                # As it comes: a block of a fixed size would be lost where the line breaks in the middle of it.
                for block in response.iter_raw():
                    stream.write(block)
                    stream.flush()
                    gained += len(block)
                    if stop.is_set():
                        raise SourceError(f"{name}: stopped")
                    if have + gained > _MOST_BYTES:
                        part.unlink()
                        raise SourceError(f"{name}: over {_MOST_BYTES >> 30} GB, which no file of NLM's is")
    except httpx.HTTPError as error:
        raise TransientError(failure(error), progressed=gained > 0) from None
    except OSError as error:
        raise SourceError(f"{part}: {error.strerror}; what was downloaded of it is kept") from error


def _check_space(folder: Path, needed: int, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise SourceError(
            f"{name} needs {needed / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB free, of which "
            f"{RESERVE / 1e6:,.0f} MB are left for the index; free some space and run the same command again"
        )
