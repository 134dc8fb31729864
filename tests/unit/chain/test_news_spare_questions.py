"""An index asks a node elsewhere for its height only while that node tells no news of its blocks."""

from __future__ import annotations

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.unit.chain.test_news_of_blocks import head, tell, wait_quickly
from voisin.chain import Chain
from voisin.chain.heads import HeadFeed
from voisin.chain.rpc import Rpc
from voisin.errors import UnavailableError
from voisin.index.ledger import ChainLedger
from voisin.index.settings import IndexSettings
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import as_address

pytestmark = pytest.mark.anyio

ELSEWHERE = "127.0.0.2"  # this machine too, but not by one of the names that say so
HUB = as_address("0x" + "11" * 20)


async def test_the_height_is_what_the_node_told() -> None:
    """The node has no HTTP port: whoever asked it would not be answered."""

    async def talk(socket: ServerConnection) -> None:
        await tell(socket, head(9))

    async with serve(talk, ELSEWHERE, 0) as server:
        url = f"http://{ELSEWHERE}:{next(iter(server.sockets)).getsockname()[1]}"
        feed = HeadFeed(url)
        async with Rpc(url, attempts=1) as rpc:
            ledger = ChainLedger(Chain(rpc, feed, Domain(chain_id=31337, hub=HUB), HUB, HUB, HUB, HUB), IndexSettings(hub=HUB))
            assert not feed.is_told
            with pytest.raises(UnavailableError):
                await ledger.head()
            assert not await wait_quickly(feed, 8)  # connects
            assert await wait_quickly(feed, 8)
            assert feed.is_told
            assert await ledger.head() == 9
            await feed.aclose()
