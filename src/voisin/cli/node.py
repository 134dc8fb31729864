"""Which node a developer's command asks, and the names of the contracts there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from voisin.cli.session import Session

if TYPE_CHECKING:
    from voisin.chain.rpc import Rpc

T = TypeVar("T")

NodeOption = Annotated[str | None, typer.Option("--rpc-url", metavar="URL", help="The node to ask; the home's own unless given.")]
HubOption = Annotated[
    str | None,
    typer.Option("--hub", metavar="ADDRESS", help="Hub of the market, to name contracts; the home's own without --rpc-url."),
]


def ask_node(
    session: Session, url: str | None, hub: str | None, work: Callable[[Rpc, dict[str, str]], Awaitable[T]], *, is_named: bool = True
) -> T:
    """
    Ask a node.

    Args:
        session: The command under way.
        url: The node; None takes that of the home's market.
        hub: The hub; None takes that of the home's market with its node, and none with another.
        work: Asks; gets the node and the names of contracts by address.
        is_named: Whether names are wanted at all.

    Returns:
        What `work` answers.
    """
    import anyio

    from voisin.chain.describing import known_contracts
    from voisin.chain.rpc import Rpc
    from voisin.protocol.ids import as_address

    where = url or session.network.rpc_url
    known = as_address(hub) if hub else None if url else session.network.hub

    async def ask() -> T:
        async with Rpc(where) as rpc:
            return await work(rpc, {} if known is None or not is_named else await known_contracts(rpc, known))

    return anyio.run(ask)
