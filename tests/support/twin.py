"""
Our market and the original one, side by side: every transaction goes to both, and both must answer alike.

Both hubs, tokens and registries have the same addresses, and both hubs use the same registries, so that ids, order hashes, events
and balances can be compared as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from eth_abi.abi import encode

from tests.support.accounts import Signer, signer
from tests.support.contracts import Contract, decode_logs
from tests.support.evm import GAS_LIMIT, NOBODY, Evm, Receipt, RevertedError
from tests.support.market import Market, deploy_market
from tests.support.orders import ZERO
from tests.support.original import deploy_original, registry_code
from voisin.chain.artifacts import load_artifact

PANIC = bytes.fromhex("4e487b71")
KINDS = ("App", "Dataset", "Workerpool")


class TwinEvm:
    """Two chains in step."""

    def __init__(self, ours: Evm, theirs: Evm) -> None:
        self.both = (ours, theirs)
        self.chain_id = ours.chain_id

    @property
    def time(self) -> int:
        """The clock, which both share."""
        return self.both[0].time

    def warp(self, seconds: int) -> None:
        """Let time pass on both."""
        for evm in self.both:
            evm.warp(seconds)

    def nonce(self, account: str) -> int:
        """The next nonce, which must be the same."""
        ours, theirs = (evm.nonce(account) for evm in self.both)
        assert ours == theirs
        return ours

    def send(self, sender: str, to: str | None, data: bytes = b"", *, value: int = 0, gas: int = GAS_LIMIT) -> Receipt:
        """Send a transaction to both; new contracts must get the same address."""
        ours, theirs = (_outcome(evm, sender, to, data, value, gas) for evm in self.both)
        if isinstance(ours, Receipt) and isinstance(theirs, Receipt):
            assert ours.contract == theirs.contract
            assert ours.output == theirs.output or to is None
            return ours
        assert isinstance(ours, RevertedError), f"the original refused with {theirs}, ours did not"
        assert isinstance(theirs, RevertedError), f"ours refused with {ours}, the original did not"
        assert _reason(ours) == _reason(theirs)
        raise ours

    def call(self, to: str, data: bytes, *, sender: str = NOBODY) -> bytes:
        """Ask both; the answers must be the same."""
        with self.anchor():
            return self.send(sender, to, data).output

    @contextmanager
    def anchor(self) -> Iterator[None]:
        """Undo on both."""
        with ExitStack() as stack:
            for evm in self.both:
                stack.enter_context(evm.anchor())
            yield


class TwinContract(Contract):
    """A contract that is at the same address on both chains and must say the same."""

    everybody: list[Contract]

    def send(self, function: str, *arguments: Any, by: str, value: int = 0, gas: int = GAS_LIMIT) -> Receipt:
        """Send to both and compare what all contracts said."""
        data = self.data(function, *arguments)
        ours, theirs = (_outcome(evm, by, self.address, data, value, gas) for evm in self.evm.both)
        _compare(function, ours, theirs, self.everybody)
        if isinstance(ours, RevertedError):
            raise ours
        return ours


def twin_market(*, registries: str = "original", chain: Callable[[], Evm] = Evm) -> Market:
    """
    Bring up both markets.

    Args:
        registries: Whose registries both hubs use: `original` or `ours`.
        chain: Makes the chain of each.
    """
    markets = (deploy_market(chain()), deploy_original(chain()))
    evm: Any = TwinEvm(markets[0].evm, markets[1].evm)
    keeper = signer(f"keeper of the {registries} registries")
    addresses = [_registry(evm, kind, keeper, registries) for kind in KINDS]
    found = [
        TwinContract(evm, "hub", markets[0].hub.address, "Hub"),
        TwinContract(evm, "token", markets[0].token.address, "Rlc"),
        *(TwinContract(evm, f"{kind.lower()}s", address, f"{kind}Registry") for kind, address in zip(KINDS, addresses, strict=True)),
    ]
    for contract in found:
        contract.everybody = list(found)
    assert [contract.address for contract in found[:2]] == [markets[1].hub.address, markets[1].token.address]
    twin = Market(evm, *found, roles=markets[0].roles)
    twin.hub.send("changeRegistries", *addresses, by=twin.roles.owner.address)
    return twin


def _registry(evm: TwinEvm, kind: str, keeper: Signer, whose: str) -> str:
    if whose == "original":
        code = registry_code(kind)
    else:
        code = load_artifact(f"{kind}Registry").init_code + encode(["bytes", "string"], [load_artifact(kind).init_code, "base/"])
    address = evm.send(keeper.address, None, code).contract
    Contract(evm, kind, address, f"{kind}Registry").send("initialize", ZERO, by=keeper.address)  # type: ignore[arg-type]
    return address


def _outcome(evm: Evm, sender: str, to: str | None, data: bytes, value: int, gas: int) -> Receipt | RevertedError:
    try:
        return evm.send(sender, to, data, value=value, gas=gas)
    except RevertedError as error:
        return error


def _compare(function: str, ours: Receipt | RevertedError, theirs: Receipt | RevertedError, contracts: list[Contract]) -> None:
    if isinstance(ours, RevertedError) or isinstance(theirs, RevertedError):
        assert isinstance(ours, RevertedError), f"{function}: the original refused with {theirs}, ours did not"
        assert isinstance(theirs, RevertedError), f"{function}: ours refused with {ours}, the original did not"
        assert _reason(ours) == _reason(theirs), f"{function}: ours {ours}, the original {theirs}"
        return
    said = [event for event in decode_logs(ours.logs, contracts) if event.name != "CallbackFailed"]  # ours alone (SPEC 8.5)
    assert said == decode_logs(theirs.logs, contracts), function
    assert ours.output == theirs.output, function


def _reason(error: RevertedError) -> bytes:
    """Revert data; Solidity's panics are empty reverts here (SPEC, as the protocol allows)."""
    return b"" if error.data.startswith(PANIC) else error.data
