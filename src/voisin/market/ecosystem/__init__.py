"""The market as the ecosystem's clients know it: its routes, shapes and words, over the same book as our own `/v1` routes."""

from voisin.market.ecosystem.api import ecosystem_routes

__all__ = ["ecosystem_routes"]
