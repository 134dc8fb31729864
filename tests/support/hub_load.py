"""Signed transactions that fill a chain with the hub's daily work: whole lives of tasks, by wallets that do not depend on each other."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account import Account
from eth_utils.address import to_checksum_address

from tests.support.accounts import Signer, signer
from tests.support.evm import Receipt
from tests.support.market import RLC, Market, Roles, Terms, deploy_market
from tests.support.quick_evm import QuickEvm

CHAIN_ID, GWEI = 31_337, 10**9
STEPS = ("deposit", "matchOrders", "initialize", "contribute", "reveal", "finalize")
"""The transactions of one life, in order."""


@dataclass(frozen=True)
class HubLoad:
    """
    What to send to a new chain.

    Attributes:
        accounts: Who needs native coin for gas.
        setup: Transactions that bring up the hub, its entries and everybody's money, in order.
        lives: For each wallet, lives of tasks of `STEPS` transactions each; only those of one wallet depend on each other.
        call: A view of the hub, as `eth_call` takes it.
        estimate: A transaction of the hub, as `eth_estimateGas` takes it.
    """

    accounts: list[str]
    setup: list[str]
    lives: list[list[list[str]]]
    call: dict[str, str]
    estimate: dict[str, str]


def hub_load(wallets: int, lives: int) -> HubLoad:
    """Play everything on an EVM of our own, and sign what was played."""
    evm = _Recorder()
    owner = signer("owner")
    signers = [signer(f"wallet {place}") for place in range(wallets)]
    hub = deploy_market(evm)
    markets = [_open(hub, owner, wallet) for wallet in signers]
    setup = evm.sign([owner, *signers])
    played = []
    for place, market in enumerate(markets):
        played.append([])
        for life in range(lives):
            _live(market, (place * lives + life + 1).to_bytes(32, "big"))
            played[-1].append(evm.sign([owner, *signers]))
    wallet = signers[0].address
    call = {"to": hub.hub.address, "data": "0x" + hub.hub.data("viewAccount", wallet).hex()}
    estimate = {"from": wallet, "to": hub.hub.address, "data": "0x" + hub.hub.data("deposit", 5).hex()}
    return HubLoad([owner.address, *(one.address for one in signers)], setup, played, call, estimate)


class _Recorder(QuickEvm):
    """Remembers what was sent since it was last signed."""

    def __init__(self) -> None:
        super().__init__(CHAIN_ID)
        self._sent: list[tuple[str, str | None, bytes, int]] = []
        self._nonces: dict[str, int] = {}

    def send(self, sender: str, to: str | None, data: bytes = b"", *, value: int = 0, gas: int = 30_000_000) -> Receipt:
        """Execute a transaction."""
        receipt = super().send(sender, to, data, value=value, gas=gas)
        self._sent.append((sender, to, data, receipt.gas_used))
        return receipt

    def sign(self, signers: list[Signer]) -> list[str]:
        """Sign what was sent since the last time, by those who sent it."""
        keys = {one.address: one.key for one in signers}
        raws = []
        for sender, to, data, used in self._sent:
            nonce = self._nonces.get(sender, 0)
            self._nonces[sender] = nonce + 1
            fields = {"chainId": CHAIN_ID, "nonce": nonce, "value": 0, "maxFeePerGas": 5 * GWEI, "maxPriorityFeePerGas": GWEI}
            fields |= {"data": data, "gas": min(29_000_000, used * 3 // 2 + 50_000)} | ({"to": to_checksum_address(to)} if to else {})
            raws.append("0x" + bytes(Account.from_key(keys[sender]).sign_transaction(fields).raw_transaction).hex())
        self._sent.clear()
        return raws


def _open(hub: Market, owner: Signer, wallet: Signer) -> Market:
    """The same hub, with one wallet in all roles."""
    roles = Roles(owner, wallet, wallet, wallet, wallet, wallet, wallet, wallet, (wallet,))
    market = Market(hub.evm, hub.hub, hub.token, hub.app_registry, hub.dataset_registry, hub.workerpool_registry, roles)
    market.register()
    market.fund(wallet, 1_000 * RLC)
    hub.token.send("transfer", wallet.address, RLC, by=owner.address)
    hub.token.send("approve", hub.hub.address, RLC, by=wallet.address)
    return market


def _live(market: Market, salt: bytes) -> None:
    """One task from its deal to its settlement."""
    wallet = market.roles.requester
    market.hub.send("deposit", 5, by=wallet.address)
    task = market.initialize(market.match(Terms(salt=salt))[0])
    market.contribute(task, wallet)
    market.reveal(task, wallet)
    market.finalize(task)
