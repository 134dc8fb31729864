"""The original contracts on a node: brought up inside the test's EVM, and then again, transaction by transaction, over JSON-RPC."""

from __future__ import annotations

from functools import cache

from tests.support.evm import GAS_LIMIT, Evm, Receipt
from tests.support.market import Market
from tests.support.original import deploy_original
from voisin.chain import Deployment
from voisin.chain.devnet import Devnet, development_keys
from voisin.protocol.ids import Address

COINS = hex(10**21)


class _RecordingEvm(Evm):
    """Remembers every transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str | None, bytes]] = []

    def send(self, sender: str, to: str | None, data: bytes = b"", *, value: int = 0, gas: int = GAS_LIMIT) -> Receipt:
        """Send as ever, and remember it."""
        assert value == 0
        self.sent.append((sender, to, data))
        return super().send(sender, to, data, value=value, gas=gas)


@cache
def _recorded() -> tuple[Market, list[tuple[str, str | None, bytes]]]:
    evm = _RecordingEvm()
    market = deploy_original(evm)
    holder = development_keys(1)[0].address
    owner = market.roles.owner.address
    market.token.send("transfer", holder, market.token.read("balanceOf", owner), by=owner)
    return market, evm.sent


async def original_on(node: Devnet) -> Deployment:
    """Put the original contracts on a fresh node; the first development account holds all tokens."""
    market, sent = _recorded()
    for sender in {sender for sender, _, _ in sent}:
        await node.request("anvil_setBalance", [sender, COINS])
        await node.request("anvil_impersonateAccount", [sender])
    for sender, to, data in sent:
        transaction = {"from": sender, "data": "0x" + data.hex(), "gas": hex(GAS_LIMIT)} | ({"to": to} if to else {})
        receipt = await node.request("eth_getTransactionReceipt", [await node.request("eth_sendTransaction", [transaction])])
        assert isinstance(receipt, dict)
        assert receipt["status"] == "0x1"
    return Deployment(
        chain_id=node.chain_id,
        hub=Address(market.hub.address),
        token=Address(market.token.address),
        app_registry=Address(market.app_registry.address),
        dataset_registry=Address(market.dataset_registry.address),
        workerpool_registry=Address(market.workerpool_registry.address),
        block=1,
        owner=Address(market.roles.owner.address),
    )
