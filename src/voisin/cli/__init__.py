"""The command line."""

from voisin.cli.main import main

__all__ = ["main"]
