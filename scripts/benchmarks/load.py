"""`search serve` under load: many clients at once; errors, p50, p95, p99, memory, questions in a batch."""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from scripts.benchmarks.timing import data_folder, quantiles, report

#: What the clients ask, and how often: questions most of all, as people do.
KINDS = {"search": 14, "search in both ways": 3, "search since 2010": 2, "status": 1}

#: How often the memory of the server is looked at.
EVERY_SECONDS = 5


def main() -> None:
    """Start a server, warm it up, and have it asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", default="indexes/pubmed")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", help="write the figures to this file too")
    options = parser.parse_args()
    questions = _titles()
    command = [sys.executable, "-m", "search", "serve", "--index", options.index, "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = _address(server)
        # The log goes nowhere; a full pipe would stop the server.
        threading.Thread(target=lambda: any(False for _ in server.stderr or ()), daemon=True).start()
        asyncio.run(_ask(address, questions, options.clients, min(10.0, options.seconds)))
        before = _resident(server.pid), _batches(address)
        answers, samples = asyncio.run(_watched(server.pid, address, questions, options))
        figures = _figures(answers, options.seconds)
        figures["memory_mb"] = {"before": before[0], "after": _resident(server.pid), **_growth(samples), "all": samples}
        figures["requests_per_batch"] = _per_batch(before[1], _batches(address))
    finally:
        server.terminate()
        server.wait(30)
    report("load", {"clients": options.clients, "seconds": options.seconds, **figures})


def _titles() -> list[str]:
    with gzip.open(data_folder() / "pubmed" / "records.jsonl.gz", "rt") as stream:
        titles = [json.loads(line)["title"] for line in stream]
    return random.Random(0).sample([title for title in titles if title], 10_000)


def _address(server: subprocess.Popen[str]) -> str:
    line = server.stderr.readline() if server.stderr else ""
    found = re.search(r"http://localhost:\d+", line)
    if found is None:
        sys.exit(f"the server did not start: {line}")
    return found[0]


def _growth(samples: list[float]) -> dict[str, float]:
    """Return the line through the samples, without those of the first fifth of the time: MB a minute, and extremes."""
    settled = samples[len(samples) // 5 :]
    minutes = np.arange(len(settled)) * EVERY_SECONDS / 60
    slope = float(np.polyfit(minutes, settled, 1)[0]) if len(settled) > 1 else 0.0
    return {"a_minute": round(slope, 2), "settled_least": min(settled), "settled_most": max(settled)}


async def _watched(
    pid: int, address: str, questions: list[str], options: argparse.Namespace
) -> tuple[list[tuple[str, int, float]], list[float]]:
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.append(_resident(pid))
            await asyncio.sleep(EVERY_SECONDS)

    watching = asyncio.create_task(sample())
    answers = await _ask(address, questions, options.clients, options.seconds)
    watching.cancel()
    return answers, samples


async def _ask(address: str, questions: list[str], clients: int, seconds: float) -> list[tuple[str, int, float]]:
    """Return the kind, the status (0: none) and the seconds of each request of all the clients."""
    answers: list[tuple[str, int, float]] = []
    end = time.perf_counter() + seconds
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)

    async def ask(client: httpx.AsyncClient, number: int) -> None:
        choice = random.Random(number)
        while time.perf_counter() < end:
            kind = choice.choices(list(KINDS), list(KINDS.values()))[0]
            begun = time.perf_counter()
            try:
                status = (await _request(client, kind, choice.choice(questions))).status_code
            except httpx.HTTPError:
                status = 0
            answers.append((kind, status, time.perf_counter() - begun))

    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120) as client:
        await asyncio.gather(*(ask(client, number) for number in range(clients)))
    return answers


async def _request(client: httpx.AsyncClient, kind: str, question: str) -> httpx.Response:
    if kind == "status":
        return await client.get("/api/status")
    body: dict[str, Any] = {"question": question, "limit": 10}
    body |= {"mode": "hybrid"} if kind == "search in both ways" else {}
    body |= {"filters": {"year_from": 2010}} if kind == "search since 2010" else {}
    return await client.post("/api/search", json=body)


def _figures(answers: list[tuple[str, int, float]], seconds: float) -> dict[str, Any]:
    statuses = Counter(status for _, status, _ in answers)
    times = quantiles([took for _, _, took in answers])
    return {
        "requests": len(answers),
        "per_second": round(len(answers) / seconds, 1),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        **times,
        "p99_over_p50": round(times["p99_ms"] / times["p50_ms"], 2),
        "by_kind": {kind: quantiles([took for name, _, took in answers if name == kind]) for kind in KINDS},
    }


def _resident(pid: int) -> float:
    """Return the memory of a process in MB, without what it has mapped of files: that grows as they are read."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)
    return round(int(found[1]) / 1000, 1) if found else 0.0


def _batches(address: str) -> tuple[int, int]:
    text = httpx.get(f"{address}/metrics", timeout=60).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return int(values["search_encoding_batch_requests_total"]), int(values["search_encoding_batches_total"])


def _per_batch(before: tuple[int, int], after: tuple[int, int]) -> float:
    return round((after[0] - before[0]) / max(1, after[1] - before[1]), 1)


if __name__ == "__main__":
    main()
