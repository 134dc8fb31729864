"""
Networks on which the original's contracts stand, with their public addresses, as data: `networks.json`.

Source: poco-protocol.md 1.4; the addresses of nodes and gateways are those that the original's own clients use.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from voisin.errors import InputError
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address

DATA_FILE = "networks.json"


class KnownNetwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    A network by its name.

    Attributes:
        name: What a person types.
        aliases: What it is called elsewhere.
        title: Its full name.
        chain_id: The chain (EIP-155).
        owner: Who may change the hub.
        rpc_url: A public node; it may limit how often one asks.
        storage_url: A public IPFS gateway.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    chain_id: int
    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address
    owner: Address
    rpc_url: str
    storage_url: str


@cache
def known_networks() -> tuple[KnownNetwork, ...]:
    """List the networks that have a name."""
    data = (files("voisin.chain") / DATA_FILE).read_bytes()
    return decode(data, tuple[KnownNetwork, ...], DATA_FILE)


def known_network(name: str) -> KnownNetwork:
    """
    Find a network by its name.

    Raises:
        InputError: There is none of this name; the hint lists them.
    """
    for network in known_networks():
        if name in (network.name, *network.aliases):
            return network
    names = ", ".join(network.name for network in known_networks())
    raise InputError(f"there is no network named {name!r}", hint=f"the known networks are {names}")
