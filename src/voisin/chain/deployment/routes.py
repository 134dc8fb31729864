"""What a hub answers now: the facet of every selector, read from the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import FACETS, HUB, NATIVE_ESCROW
from voisin.chain.functions import function
from voisin.chain.reading import Read, read_pair
from voisin.chain.rpc import Rpc
from voisin.errors import StateError
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import Address, from_hex, to_hex

SMALL_FLAG = 1 << 160
"""The flag of a route whose answers are short; the constant `SMALL` of `routing.vy`."""


@dataclass(frozen=True)
class Table:
    """
    What a hub answers now.

    Attributes:
        owner: Who may change it.
        routes: Facet of each selector.
        small: Selectors whose answers may only be short.
        current: Facets that have this version's code, by name.
    """

    owner: Address
    routes: Mapping[bytes, Address]
    small: frozenset[bytes]
    current: Mapping[str, Address]

    def require_owner(self, wallet: Address) -> None:
        """
        Make sure that a wallet may change the hub.

        Raises:
            StateError: The hub belongs to somebody else.
        """
        if wallet != self.owner:
            raise StateError(f"the hub belongs to {self.owner}, not to {wallet}", hint="use the owner's wallet: --wallet NAME")


async def read_table(rpc: Rpc, hub: Address) -> Table:
    """
    Read what a hub answers now.

    Args:
        rpc: The node.
        hub: A hub of ours.

    Raises:
        RevertError: It is none.
        InputError: It is none.
        UnavailableError: The node does not answer.
    """
    owner, routes = await read_pair(
        rpc, Read(hub, function(HUB, "owner"), (), Address), Read(hub, function(HUB, "facets"), (), lambda table: dict(_routes(table)))
    )
    facets = sorted(set(routes.values()))
    answers = await rpc.ask([("eth_getCode", (facet, "latest")) for facet in facets])
    codes = {facet: from_hex(answer.read(str)) for facet, answer in zip(facets, answers, strict=True)}
    words = await rpc.ask([("eth_getStorageAt", (hub, route_place(selector), "latest")) for selector in routes])
    small = {selector for selector, word in zip(routes, words, strict=True) if int(word.read(str), 16) & SMALL_FLAG}
    current = {name: facet for name in (*FACETS, NATIVE_ESCROW) for facet, code in codes.items() if load_artifact(name).is_code(code)}
    return Table(owner, routes, frozenset(small), current)


def route_place(selector: bytes) -> str:
    """Tell in which storage slot a hub keeps a route, for no view tells which routes are for short answers."""
    slot = load_artifact(HUB).layout["routes"].slot
    return to_hex(keccak(slot.to_bytes(32, "big") + selector.ljust(32, b"\0")))


def _routes(table: Iterable[tuple[Address, Sequence[str]]]) -> Iterator[tuple[bytes, Address]]:
    for facet, selectors in table:
        for selector in selectors:
            yield from_hex(selector), facet
