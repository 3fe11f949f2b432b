"""Fetch a published set of pairs from the Hugging Face hub, which keeps every data set as Parquet files too."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

from search.errors import EvaluationError
from search.evaluation.pair_correlation import PAIR_SETS, PairColumns
from search.files import cache_folder

__all__ = ["fetch_pair_set"]

_TIMEOUT_SECONDS = 10.0


def fetch_pair_set(name: str) -> list[Path]:
    """Return the Parquet files of one of `PAIR_SETS`, from the cache or, the first time, from the hub.

    `HF_ENDPOINT` names another hub, `HF_HUB_OFFLINE` forbids the download. Raises EvaluationError, saying how to do
    without, if the hub is out of reach or has no such set, or nothing here reads its files.
    """
    columns = PAIR_SETS[name]
    folder = cache_folder() / "pairs" / name
    if files := sorted(folder.glob("*.parquet")):
        return files
    if importlib.util.find_spec("pyarrow") is None:
        raise EvaluationError(f"{columns.title} is kept as Parquet, which needs pyarrow: pip install pyarrow")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    remedy = f"give a local file instead: search evaluate pairs FILE --set {name}"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise EvaluationError(f"{columns.title} is not on this machine and HF_HUB_OFFLINE forbids a download; {remedy}")
    import httpx

    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=True) as client:
            return _download(client, endpoint, columns, folder)
    except (httpx.HTTPError, ValueError) as error:
        raise EvaluationError(
            f"{columns.title} ({columns.repository}) cannot be fetched from {endpoint}: {error}; {remedy}"
        ) from error
    except OSError as error:
        raise EvaluationError(f"{folder} cannot be written: {error}; free some space or set SEARCH_CACHE") from error


def _download(client: Any, endpoint: str, columns: PairColumns, folder: Path) -> list[Path]:
    """Write the files of the split into the folder, which appears when they are all there."""
    answer = client.get(f"{endpoint}/api/datasets/{columns.repository}/parquet/{columns.part}/{columns.split}")
    _check(answer)
    addresses = answer.json()
    if not isinstance(addresses, list) or not addresses:
        raise ValueError(f"it lists no Parquet files of {columns.part}, {columns.split}")
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    for number, address in enumerate(addresses):
        with client.stream("GET", str(address)) as stream, (partial / f"{number:04}.parquet").open("wb") as file:
            _check(stream)
            for part in stream.iter_bytes():
                file.write(part)
    partial.replace(folder)
    return sorted(folder.glob("*.parquet"))


def _check(answer: Any) -> None:
    if answer.status_code != 200:
        raise ValueError(f"{answer.url} answers {answer.status_code}")
