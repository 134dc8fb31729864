"""
Services of a box as a process: `python -m voisin.box.part_process market index`, with an `Order` on standard input.

It loads their code before it reads the order, while the box is still busy with something else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import anyio

from voisin.box.children import follow_box
from voisin.box.parts import Answer, Order
from voisin.errors import VoisinError
from voisin.protocol.codec import decode, encode
from voisin.service.logs import configure_logs
from voisin.service.pace import quick_turns, settle_memory
from voisin.service.serving import until_stopped

Server = Callable[[bytes], AbstractAsyncContextManager[str]]
"""Serves something set up by some JSON; yields its address."""


def _market() -> Server:
    from voisin.market import MarketSettings, market_at

    return lambda settings: market_at(MarketSettings.model_validate_json(settings))


def _index() -> Server:
    from voisin.index import IndexSettings, index_at

    return lambda settings: index_at(IndexSettings.model_validate_json(settings))


def _vault() -> Server:
    from voisin.enclave.memory import close_doors
    from voisin.vault import VaultSettings, vault_at

    close_doors()  # what it holds is for no other process
    return lambda settings: vault_at(VaultSettings.model_validate_json(settings))


LOADERS = {"market": _market, "index": _index, "vault": _vault}


def main() -> int:
    """Serve until a signal comes or the box is gone; 1 when the services cannot go on."""
    configure_logs()
    quick_turns()
    servers = {name: LOADERS[name]() for name in sys.argv[1:]}
    order = decode(sys.stdin.readline(), Order, "the order of a box's part")
    follow_box()
    try:
        anyio.run(_serve, servers, order, backend_options={"use_uvloop": True})
    except VoisinError as error:
        _say(Answer(refused=error.message, hint=error.hint))
        return 1
    return 0


async def _serve(servers: dict[str, Server], order: Order) -> None:
    async with AsyncExitStack() as services:
        urls = {name: await services.enter_async_context(serve(bytes(order.services[name]))) for name, serve in servers.items()}
        await until_stopped("part", ", ".join(urls.values()), lambda _urls: _ready(Answer(urls=urls)))


def _ready(answer: Answer) -> None:
    settle_memory()
    _say(answer)


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(encode(answer) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
