"""Numbers about the running server, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

__all__ = ["Metrics"]

#: Upper bounds of the classes in which durations are counted, in seconds.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests by route, method and status, and how long they took; `registry` takes further collectors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.in_flight = 0
        ProcessCollector(registry=self.registry)
        labels = ["route", "method", "status"]
        self._requests = Counter("search_requests", "Requests answered.", labels, registry=self.registry)
        self._seconds = Histogram(
            "search_request_seconds", "How long a request took.", ["route"], buckets=_BOUNDS, registry=self.registry
        )
        Gauge("search_requests_in_flight", "Requests that are being answered.", registry=self.registry).set_function(
            lambda: self.in_flight
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all numbers in Prometheus's text format."""
        return generate_latest(self.registry)
