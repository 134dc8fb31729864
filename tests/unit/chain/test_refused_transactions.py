"""What is refused, before or after it is sent, is told in words: what was tried, why, and what to do about it."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from tests.support.node_twin import ETHER, HUB, NodeTwin, RefusedError, reverted
from tests.unit.chain.conftest import QUICK
from voisin.chain import Call, Chain, NodeError, Sender, calls
from voisin.errors import FundsError, RevertError
from voisin.protocol.ids import Address, DealId, Hash32
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio
SOMEBODY = Address("0x00000000000000000000000000000000000000aa")
CALL = Call(SOMEBODY, b"\1\2\3\4", "do something", gas=60_000)
ESCROW = bytes.fromhex("08c379a0") + encode(["string"], ["IexecEscrow: Transfer amount exceeds balance"])


def answer_with(node: NodeTwin, refusal: RefusedError) -> None:
    def refuse(_: bytes) -> bytes:
        raise refusal

    node.contracts[HUB] = refuse


async def test_a_call_that_would_fail_costs_nothing(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    answer_with(node, reverted(ESCROW))
    with pytest.raises(RevertError) as caught:
        await Sender(chain, wallet, QUICK).send(calls.initialize(Address(HUB), DealId(Hash32("0x" + "ab" * 32)), 3))
    assert str(caught.value).startswith(
        f"the chain refused to initialize task 3 of deal 0x{'ab' * 32}: IexecEscrow: Transfer amount exceeds balance"
    )
    assert (caught.value.reason, caught.value.data) == ("IexecEscrow: Transfer amount exceeds balance", ESCROW)
    assert "deposits" in caught.value.hint
    assert node.seen == []


async def test_a_silent_refusal_names_the_conditions(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    answer_with(node, reverted())
    with pytest.raises(
        RevertError, match=r"the chain refused to withdraw 5 nRLC; the contract gave no reason: the account at the hub must hold"
    ):
        await Sender(chain, wallet, QUICK).send(calls.withdraw(Address(HUB), NRLC(5)))


async def test_a_mined_failure_is_run_again_to_hear_the_reason(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.failing.add(CALL.data)
    with pytest.raises(RevertError, match="the chain refused to do something; the contract gave no reason"):
        await Sender(chain, wallet, QUICK).send(CALL)
    assert len(node.mined()) == 1


async def test_a_mined_failure_without_any_reason_ran_out_of_gas(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    call = Call(SOMEBODY, b"\5\6\7\x08", "do something", gas=50_000)  # all of which the twin uses
    node.failing.add(call.data)
    sender = Sender(chain, wallet, QUICK)
    submitted = await sender.submit(call)
    node.mines_at_once = False
    node._eth_call = lambda *_: "0x"  # type: ignore[method-assign]  # run again alone, it would succeed
    with pytest.raises(RevertError, match="out of gas"):
        await submitted.receipt()


async def test_a_failed_transaction_does_not_hold_up_the_next(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.failing.add(CALL.data)
    sender = Sender(chain, wallet, QUICK)
    for _ in range(2):
        with pytest.raises(RevertError):
            await sender.send(CALL)
    assert (await sender.send(Call(SOMEBODY, b"", "go on", gas=21_000))).block == 3


async def test_a_poor_wallet_hears_what_is_missing(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    node.balances[wallet.address] = 1_000_000
    with pytest.raises(FundsError) as caught:
        await Sender(chain, wallet, QUICK).send(CALL)
    # 60,000 gas at twice the base fee of 1 gwei and a tip of 1 gwei
    assert caught.value.message == f"the wallet {wallet.address} holds 1000000 wei, but may have to pay 180000000000000 wei to do something"
    assert "send it at least 179999999000000 wei" in caught.value.hint


async def test_an_estimate_may_find_the_wallet_poor(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    answer_with(node, RefusedError(-32000, "insufficient funds for transfer"))
    node.balances[wallet.address] = 7
    with pytest.raises(FundsError, match="holds 7 wei, too little to withdraw 5 nRLC"):
        await Sender(chain, wallet, QUICK).send(calls.withdraw(Address(HUB), NRLC(5)))


async def test_a_rich_wallet_is_rich_again_after_a_refusal(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    sender = Sender(chain, wallet, QUICK)
    node.balances[wallet.address] = 0
    with pytest.raises(FundsError):
        await sender.send(CALL)
    node.balances[wallet.address] = ETHER
    assert (await sender.send(CALL)).block == 1
    assert [tx.nonce for tx in node.mined()] == [0]


async def test_other_refusals_are_the_nodes_own_words(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    answer_with(node, RefusedError(-32000, "gas required exceeds allowance (30000000)"))
    with pytest.raises(NodeError, match="the node refuses to withdraw 5 nRLC: gas required exceeds allowance") as caught:
        await Sender(chain, wallet, QUICK).send(calls.withdraw(Address(HUB), NRLC(5)))
    assert caught.value.rpc_code == -32000


async def test_the_key_is_in_no_error_and_no_text(node: NodeTwin, chain: Chain) -> None:
    key = bytes(range(1, 33))
    wallet = KeySigner(key)
    node.balances[wallet.address] = 0
    sender = Sender(chain, wallet, QUICK)
    with pytest.raises(FundsError) as caught:
        await sender.send(CALL)
    for text in (str(caught.value), repr(caught.value), repr(sender), repr(sender.__dict__)):
        assert key.hex() not in text.lower()
        assert repr(key) not in text


async def test_gas_has_a_margin(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    await Sender(chain, wallet, QUICK).send(Call(SOMEBODY, b"", "do something"))
    assert node.seen[0].gas == 120_000  # the twin estimates 100,000


async def test_a_receipt_tells_what_it_cost(node: NodeTwin, chain: Chain, wallet: KeySigner) -> None:
    receipt = await Sender(chain, wallet, QUICK).send(CALL)
    assert (receipt.gas_used, receipt.gas_price, receipt.fee, receipt.contract) == (50_000, 2 * 10**9, 10**14, None)
