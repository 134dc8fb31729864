"""A market's figures, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from voisin.protocol.orders import OrderKind


class MarketMetrics:
    """
    What a market counts. Each market has its own registry, so several may run in one process.

    Attributes:
        published: Orders taken into the book, by kind.
        refused: Publications and removals refused, by code of the error.
        removed: Orders taken out by their signers, by kind.
        deals: Deals recorded.
        failures: Failed attempts to follow the chain.
        next_block: First block that is not recorded yet.
        requests: Requests by method, route and status, with their duration [s].
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.published = Counter("voisin_market_published", "Orders taken into the book", ["kind"], registry=self._registry)
        self.refused = Counter("voisin_market_refused", "Publications and removals refused", ["code"], registry=self._registry)
        self.removed = Counter("voisin_market_removed", "Orders taken out by their signers", ["kind"], registry=self._registry)
        self.deals = Counter("voisin_market_deals", "Deals recorded", registry=self._registry)
        self.failures = Counter("voisin_market_follow_failures", "Failed attempts to follow the chain", registry=self._registry)
        self.next_block = Gauge("voisin_market_next_block", "First block that is not recorded yet", registry=self._registry)
        self._open = Gauge("voisin_market_open_orders", "Open orders in the book", ["kind"], registry=self._registry)
        self._readers = Gauge("voisin_market_feed_readers", "Readers of the live feed", registry=self._registry)
        self._known_requests: dict[tuple[str, str, int], Histogram] = {}
        self.requests = Histogram(
            "voisin_market_request_seconds", "Requests and their duration", ["method", "route", "status"], registry=self._registry
        )

    def note_request(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count a request by method, route and status, and how long it took [s]."""
        name = (method, route, status)
        if name not in self._known_requests:
            self._known_requests[name] = self.requests.labels(method, route, str(status))
        self._known_requests[name].observe(took_s)

    def page(self, open_orders: Mapping[OrderKind, int], feed_readers: int) -> bytes:
        """Write all figures in Prometheus' text format."""
        for kind, count in open_orders.items():
            self._open.labels(kind.value).set(count)
        self._readers.set(feed_readers)
        return generate_latest(self._registry)
