"""The token: ERC-20, `approveAndCall`, `burn`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode

from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract, Event
from tests.support.evm import Evm, reverts
from tests.support.market import Roles
from tests.support.orders import ZERO
from voisin.chain.artifacts import load_artifact

SUPPLY = 87_000_000_000_000_000


@pytest.fixture(scope="module")
def owner_and_token() -> tuple[str, Contract]:
    """A token and who has it all."""
    evm, owner = Evm(), Roles().owner.address
    receipt = evm.send(owner, None, load_artifact("Rlc").init_code)
    token = Contract(evm, "token", receipt.contract, "Rlc")
    assert token.events(receipt) == [Event("token", "Transfer", (ZERO, owner, SUPPLY))]
    return owner, token


@pytest.fixture
def owner(owner_and_token: tuple[str, Contract]) -> str:
    """Who deployed the token."""
    return owner_and_token[0]


@pytest.fixture
def token(owner_and_token: tuple[str, Contract]) -> Iterator[Contract]:
    """The token, put back as it was at the end."""
    with owner_and_token[1].evm.anchor():
        yield owner_and_token[1]


def test_the_whole_supply_is_the_deployers(owner: str, token: Contract) -> None:
    read = token.read
    assert (read("name"), read("symbol"), read("decimals"), read("version")) == ("iExec RLC Token", "RLC", 9, "v0.1")
    assert read("totalSupply") == read("initialSupply") == read("balanceOf", owner) == SUPPLY
    assert read("locked") is False


def test_transfer(owner: str, token: Contract) -> None:
    other = Roles().stranger.address
    receipt = token.send("transfer", other, 5, by=owner)
    assert token.events(receipt) == [Event("token", "Transfer", (owner, other, 5))]
    assert token.answer("transfer", receipt.output) == (True,)
    assert (token.read("balanceOf", owner), token.read("balanceOf", other)) == (SUPPLY - 5, 5)
    token.send("transfer", other, 5, by=other)
    assert token.read("balanceOf", other) == 5
    with reverts():
        token.send("transfer", owner, 6, by=other)
    token.send("transfer", ZERO, 5, by=other)
    assert token.read("balanceOf", ZERO) == 5


def test_transfer_from(owner: str, token: Contract) -> None:
    spender, other = Roles().sponsor.address, Roles().stranger.address
    receipt = token.send("approve", spender, 10, by=owner)
    assert token.events(receipt) == [Event("token", "Approval", (owner, spender, 10))]
    assert token.read("allowance", owner, spender) == 10
    receipt = token.send("transferFrom", owner, other, 4, by=spender)
    assert token.events(receipt) == [Event("token", "Transfer", (owner, other, 4))]
    assert token.read("allowance", owner, spender) == 6
    with reverts():
        token.send("transferFrom", owner, other, 7, by=spender)
    token.send("approve", spender, 2**256 - 1, by=owner)
    token.send("transferFrom", owner, other, 1, by=spender)
    assert token.read("allowance", owner, spender) == 2**256 - 2
    with reverts():
        token.send("transferFrom", owner, other, SUPPLY, by=spender)


def test_approve_and_call(owner: str, token: Contract) -> None:
    spender = deploy_double(token.evm, "Spender", owner)
    receipt = token.send("approveAndCall", spender, 8, b"hello", by=owner)  # the spender's answer, here no, is ignored
    assert receipt.output == b""
    assert token.events(receipt) == [Event("token", "Approval", (owner, spender, 8))]
    told = encode(["address", "uint256", "address", "bytes"], [owner, 8, token.address, b"hello"])
    assert token.evm.call(spender, encode_call("seen()")) == encode(["bytes"], [told])


def test_approve_and_call_needs_a_contract_that_listens(owner: str, token: Contract) -> None:
    with reverts():
        token.send("approveAndCall", Roles().stranger.address, 8, b"", by=owner)
    group = deploy_double(token.evm, "Group", owner, ("address", owner))
    with reverts():
        token.send("approveAndCall", group, 8, b"", by=owner)
    assert token.read("allowance", owner, group) == 0


def test_burn(owner: str, token: Contract) -> None:
    receipt = token.send("burn", 9, by=owner)
    assert token.events(receipt) == [Event("token", "Transfer", (owner, ZERO, 9))]
    assert token.read("totalSupply") == token.read("balanceOf", owner) == SUPPLY - 9
    assert token.read("initialSupply") == SUPPLY
    with reverts():
        token.send("burn", SUPPLY, by=owner)


def test_nobody_has_the_powers_that_the_faucet_gave_its_owner(owner: str, token: Contract) -> None:
    for signature in ("refill(address,uint256)", "forceBurn(address,uint256)"):
        with reverts():
            token.evm.send(owner, token.address, encode_call(signature, owner, 1))
    with reverts():
        token.evm.send(owner, token.address, encode_call("forceApprove(address,address,uint256)", owner, owner, 1))
