"""An open chain: the node, the hub on it, and everything that can be read there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from voisin.chain.abi_codec import AbiValue
from voisin.chain.artifacts import AbiParameter
from voisin.chain.functions import Function, function
from voisin.chain.heads import HeadFeed
from voisin.chain.hub import Hub, Token
from voisin.chain.node_values import RawBlock, quantity
from voisin.chain.reading import Read, read, record
from voisin.chain.registries import Registries
from voisin.chain.rpc import Rpc
from voisin.errors import InputError, RevertError
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, from_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.rules import GROUP_MEMBER_PURPOSE
from voisin.units import UnixSeconds, Wei

ARBITRUM_CHAINS = frozenset({42_161, 42_170, 421_614})
"""Arbitrum One, Nova and Sepolia (EIP-155 numbers)."""

_NO_CODE = "0x"
# the one function of ERC-734 that the hub asks; poco-protocol.md 4.4
_KEY_HAS_PURPOSE = Function(
    name="keyHasPurpose",
    selector=bytes.fromhex("d202158d"),
    inputs=(AbiParameter(name="key", type="bytes32"), AbiParameter(name="purpose", type="uint256")),
    outputs=(AbiParameter(name="exists", type="bool"),),
)


@dataclass(frozen=True)
class Chain:
    """
    A chain with a hub on it.

    Attributes:
        rpc: The node.
        heads: News of new blocks.
        domain: What signatures for this hub are bound to.
        token_address: The token whose money the hub holds.
        app_registry: The registry of apps.
        dataset_registry: The registry of datasets.
        workerpool_registry: The registry of workerpools.
    """

    rpc: Rpc
    heads: HeadFeed
    domain: Domain
    token_address: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address

    @property
    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        return self.domain.chain_id

    @property
    def has_fixed_costs(self) -> bool:
        """
        Whether a call's gas follows from what it does alone, so that a limit may be known beforehand.

        On Arbitrum a transaction's gas also pays for its bytes on the parent chain, at a price that changes from minute to minute:
        only the node's estimate knows it.
        """
        return self.chain_id not in ARBITRUM_CHAINS

    @property
    def hub_address(self) -> Address:
        """The hub."""
        return self.domain.hub

    @property
    def hub(self) -> Hub:
        """Reads the hub."""
        return Hub(self.rpc, self.hub_address)

    @property
    def token(self) -> Token:
        """Reads the token."""
        return Token(self.rpc, self.token_address)

    @property
    def registries(self) -> Registries:
        """Reads the registries."""
        addresses = {
            OrderKind.APP: self.app_registry,
            OrderKind.DATASET: self.dataset_registry,
            OrderKind.WORKERPOOL: self.workerpool_registry,
        }
        return Registries(self.rpc, self.hub_address, addresses)

    @property
    def contracts(self) -> tuple[Address, ...]:
        """The contracts whose events are the market's: hub, registries, token."""
        return (self.hub_address, self.app_registry, self.dataset_registry, self.workerpool_registry, self.token_address)

    async def block_number(self) -> int:
        """Number the latest block."""
        return quantity(await self.rpc.fetch(str, "eth_blockNumber"))

    async def block_time(self, number: int | None = None) -> UnixSeconds:
        """Tell the time of a block, without number the latest one [Unix s]; the contracts know no other clock."""
        name = "latest" if number is None else hex(number)
        block = await self.rpc.fetch(RawBlock, "eth_getBlockByNumber", name, False)
        return UnixSeconds(quantity(block.timestamp))

    async def block_hash(self, number: int) -> Hash32 | None:
        """Tell the hash of a block; None while the node does not know it."""
        return (await self.rpc.fetch(RawBlock, "eth_getBlockByNumber", hex(number), False)).name

    async def native_balance(self, owner: Address) -> Wei:
        """Tell how much native coin, which pays for gas, an owner has [wei]."""
        return Wei(quantity(await self.rpc.fetch(str, "eth_getBalance", owner, "latest")))

    async def nonce(self, owner: Address) -> int:
        """Tell how many transactions an owner has sent."""
        return quantity(await self.rpc.fetch(str, "eth_getTransactionCount", owner, "latest"))

    async def is_signed_by(self, owner: Address, digest: bytes, signature: str) -> bool:
        """Tell whether an owner signed a 32-byte digest: with its key, or as a contract (ERC-1271)."""
        return await self.hub.is_signed_by(owner, digest, signature)

    async def have_code(self, accounts: Sequence[Address]) -> list[bool]:
        """Tell of several accounts whether they are contracts, or act as one (EIP-7702), in one go."""
        answers = await self.rpc.ask([("eth_getCode", (account, "latest")) for account in accounts])
        return [answer.read(str) != _NO_CODE for answer in answers]

    async def had_code(self, account: Address, block: int) -> bool:
        """
        Tell whether an account was a contract at the end of a block.

        Raises:
            NodeError: The node does not keep states that are so old.
        """
        return await self.rpc.fetch(str, "eth_getCode", account, hex(block)) != _NO_CODE

    async def is_authorized(self, restriction: Address, account: Address) -> bool:
        """
        Tell whether an order's restriction lets an account in.

        Args:
            restriction: Zero lets everybody in, an account itself, an ERC-734 group its members.
            account: The account.

        Source: poco-protocol.md 4.4.
        """
        if restriction in (ZERO_ADDRESS, account):
            return True
        key = from_hex(account).rjust(32, b"\0")
        question = Read(restriction, _KEY_HAS_PURPOSE, (key, GROUP_MEMBER_PURPOSE), bool)
        try:
            return await read(self.rpc, question)
        except (RevertError, InputError):
            return False  # no group contract there, or it refuses: as the hub does


@asynccontextmanager
async def open_chain(rpc_url: str, hub: Address) -> AsyncIterator[Chain]:
    """
    Connect to a node and look at the hub there.

    Args:
        rpc_url: The node's address.
        hub: The hub.

    Raises:
        InputError: There is no hub at this address of this chain.
        UnavailableError: The node does not answer.
    """
    async with Rpc(rpc_url) as rpc:
        chain = await connect(rpc, hub)
        try:
            yield chain
        finally:
            await chain.heads.aclose()


async def connect(rpc: Rpc, hub: Address) -> Chain:
    """
    Look at the hub on an open node, in one request.

    Args:
        rpc: The node.
        hub: The hub.

    Raises:
        InputError: There is no hub at this address of this chain.
        UnavailableError: The node does not answer.
    """
    names = ("token", "appregistry", "datasetregistry", "workerpoolregistry")
    addresses = [Read(hub, function("Hub", name), (), Address) for name in names]
    domain = Read(hub, function("Hub", "domain"), (), _domain)
    questions = [*(question.request() for question in addresses), domain.request()]
    chain_id, code, *answers = await rpc.ask([("eth_chainId", ()), ("eth_getCode", (hub, "latest")), *questions])
    number = quantity(chain_id.read(str))
    hint = "check the hub's address, and that the node serves the chain you mean"
    if code.read(str) == _NO_CODE:
        raise InputError(f"there is no contract at {hub} on chain {number}", hint=hint)
    try:
        token, app, dataset, workerpool = (question.answer(answer) for question, answer in zip(addresses, answers[:-1], strict=True))
        signed_for = domain.answer(answers[-1])
    except (RevertError, InputError):
        raise InputError(f"the contract at {hub} on chain {number} is not a hub", hint=hint) from None
    if signed_for.chain_id != number or signed_for.hub != hub:
        raise InputError(f"the hub at {hub} says it is {signed_for.hub} on chain {signed_for.chain_id}, not {number}", hint=hint)
    return Chain(rpc, HeadFeed(rpc.url, has_socket=rpc.has_network), signed_for, token, app, dataset, workerpool)


def _domain(members: tuple[AbiValue, ...]) -> Domain:
    name, version, chain_id, hub = members
    return record(Domain, chain_id, hub, name, version)
