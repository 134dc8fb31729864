"""What a vault counts, for Prometheus; no figure depends on a secret."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class VaultMetrics:
    """
    What a vault counts. Each vault has its own registry, so several may run in one process.

    Attributes:
        pushed: Secrets kept or replaced, by kind.
        sessions: Sessions opened.
        requests: Requests by method, route and status, with their duration [s].
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.pushed = Counter("voisin_vault_pushed", "Secrets kept or replaced", ["kind"], registry=self._registry)
        self.sessions = Counter("voisin_vault_sessions", "Sessions opened", registry=self._registry)
        self.requests = Histogram(
            "voisin_vault_request_seconds", "Requests and their duration", ["method", "route", "status"], registry=self._registry
        )

    def page(self) -> bytes:
        """Write all figures in Prometheus' text format."""
        return generate_latest(self._registry)
