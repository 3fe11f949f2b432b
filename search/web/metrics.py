"""Numbers about the running server, in the text format that Prometheus reads."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Metrics", "resident_bytes"]

#: Upper bounds of the classes that durations are counted in, in seconds.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests by route, method and status, and how long they took. Used by one thread, that of the event loop."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.in_flight = 0
        self._seconds: dict[str, float] = {}
        self._classes: dict[str, list[int]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self.requests[route, method, status] += 1
        self._seconds[route] = self._seconds.get(route, 0.0) + seconds
        classes = self._classes.setdefault(route, [0] * (len(_BOUNDS) + 1))
        for place, bound in enumerate((*_BOUNDS, float("inf"))):
            classes[place] += seconds <= bound

    def text(self, gauges: Mapping[str, tuple[str, float]], batches: Mapping[int, int], encoded: int) -> str:
        """Return everything. `gauges` gives a help text and a value by name; `batches` how often a size occurred."""
        lines = _head("search_requests_total", "counter", "Requests answered.")
        for (route, method, status), count in sorted(self.requests.items()):
            lines.append(f'search_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}')
        lines += _head("search_request_seconds", "histogram", "How long a request took, in seconds.")
        for route, classes in sorted(self._classes.items()):
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), classes, strict=True):
                lines.append(f'search_request_seconds_bucket{{route="{route}",le="{bound}"}} {count}')
            lines.append(f'search_request_seconds_sum{{route="{route}"}} {self._seconds[route]:.6f}')
            lines.append(f'search_request_seconds_count{{route="{route}"}} {classes[-1]}')
        lines += _head("search_encoding_batches_total", "counter", "Batches of questions encoded.")
        lines.append(f"search_encoding_batches_total {sum(batches.values())}")
        lines += _head("search_encoding_batch_requests_total", "counter", "Requests in these batches.")
        lines.append(f"search_encoding_batch_requests_total {sum(size * count for size, count in batches.items())}")
        lines += _head("search_texts_encoded_total", "counter", "Questions and sentences encoded.")
        lines.append(f"search_texts_encoded_total {encoded}")
        in_flight = {"search_requests_in_flight": ("Requests that are being answered.", self.in_flight)}
        for name, (told, value) in {**gauges, **in_flight}.items():
            lines += [*_head(name, "gauge", told), f"{name} {value:.0f}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


def resident_bytes() -> int:
    """Return the memory of this process, in bytes; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
