"""What the tests of the chain client share: a node in memory, and a client on it that never pauses long."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.node_twin import HUB, URL, NodeTwin, install_hub
from voisin.chain import Chain, Rpc, SenderSettings, connect
from voisin.protocol.ids import Address
from voisin.protocol.signatures import KeySigner

QUICK = SenderSettings(poll_s=0.001, patience_s=20, mine_within_s=20)


@pytest.fixture
def node() -> NodeTwin:
    """A node with a hub."""
    twin = NodeTwin()
    install_hub(twin)
    return twin


@pytest.fixture
async def rpc(node: NodeTwin) -> AsyncIterator[Rpc]:
    """A client of the node."""
    async with Rpc(URL, transport=node, first_pause_s=0.001) as rpc:
        yield rpc


@pytest.fixture
async def chain(rpc: Rpc) -> Chain:
    """The chain, connected."""
    return await connect(rpc, Address(HUB))


@pytest.fixture
def wallet() -> KeySigner:
    """A wallet."""
    return KeySigner(b"\x11" * 32)
