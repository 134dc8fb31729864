"""Libraries that only verifiers of hardware evidence need, loaded when they are."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from voisin.errors import StateError


def require_module(name: str) -> ModuleType:
    """
    Load a library of the extra `attestation`.

    Raises:
        StateError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise StateError(f"evidence cannot be verified here without {name}", hint="install voisin[attestation]") from None
