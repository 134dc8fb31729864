"""
The keys of a box that anybody may know: accounts of the well-known development mnemonic, on a chain whose money is worth nothing.
"""

from __future__ import annotations

from voisin.chain.devnet import development_keys
from voisin.protocol.signatures import KeySigner

_HUB_OWNER, _CLIENT = 0, 1


def hub_owner() -> KeySigner:
    """Give the account that owns the contracts and first holds all RLC; once a box is founded, nothing in it signs with it."""
    return development_keys()[_HUB_OWNER]


def client_account() -> KeySigner:
    """Give the account that is there for clients of other makers: it holds RLC and native coin, and nothing in the box signs with it."""
    return development_keys()[_CLIENT]
