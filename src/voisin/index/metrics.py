"""An index's figures, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class IndexMetrics:
    """
    What an index counts. Each index has its own registry, so several may run in one process.

    Attributes:
        stretches: Stretches of the chain recorded since the start.
        events: Events recorded.
        failures: Failed attempts to follow the chain.
        returns: Times that the chain went back and the records with it.
        next_block: First block that is not recorded yet.
        queries: GraphQL queries by outcome, with their duration [s].
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.stretches = 0
        self.events = Counter("voisin_index_events", "Events recorded", registry=self._registry)
        self.failures = Counter("voisin_index_follow_failures", "Failed attempts to follow the chain", registry=self._registry)
        self.returns = Counter("voisin_index_returns", "Times that the chain went back", registry=self._registry)
        self.next_block = Gauge("voisin_index_next_block", "First block that is not recorded yet", registry=self._registry)
        self.queries = Histogram("voisin_index_query_seconds", "GraphQL queries", ["outcome"], registry=self._registry)

    def note_stretch(self, next_block: int, events: int) -> None:
        """Count a recorded stretch."""
        self.stretches += 1
        self.events.inc(events)
        self.next_block.set(next_block)

    def page(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self._registry)
