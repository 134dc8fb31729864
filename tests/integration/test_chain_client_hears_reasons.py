"""The real contracts' refusals arrive as their own words, with a hint; what would fail is refused before it costs anything."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.support.chain_rig import RLC, Rig, open_rig
from voisin.chain import Admission, Call, Sender, calls
from voisin.chain.functions import function
from voisin.errors import FundsError, RevertError
from voisin.protocol.eip712 import Operation
from voisin.protocol.ids import Address, Hash32, TaskId, to_hex
from voisin.protocol.orders import no_dataset_order
from voisin.protocol.signatures import KeySigner
from voisin.units import NRLC

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


async def refused(rig: Rig, wallet: KeySigner, call: Call) -> RevertError:
    before = await rig.chain.native_balance(wallet.address)
    with pytest.raises(RevertError) as caught:
        await rig.send(wallet, call)
    assert await rig.chain.native_balance(wallet.address) == before
    return caught.value


async def test_custom_errors_of_hub_and_registries(rig: Rig) -> None:
    hub, token, somebody = rig.chain.hub_address, rig.chain.token_address, rig.stranger.address
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    dataset = no_dataset_order()
    transfer_ownership = Call(hub, function("Hub", "transferOwnership").encode(somebody), "take the hub")
    error = await refused(rig, rig.stranger, transfer_ownership)
    assert error.reason == f"NotContractOwner({somebody}, {rig.owner.address})"
    assert error.hint

    await rig.send(rig.owner, calls.transfer(token, somebody, NRLC(10)))
    error = await refused(rig, rig.stranger, calls.approve_and_call(token, hub, NRLC(1), bytes.fromhex("deadbeef")))
    assert error.reason == "UnsupportedOperation(0xdeadbeef)"
    match = calls.match_orders(hub, app, None, pool, request).data
    error = await refused(rig, rig.stranger, calls.approve_and_call(token, hub, NRLC(1), match))
    assert error.reason == "CallerIsNotTheRequester()"
    no_app = msgspec.structs.replace(app, app=somebody)
    silent = calls.match_orders(hub, no_app, None, pool, msgspec.structs.replace(request, app=somebody)).data
    await rig.send(rig.owner, calls.transfer(token, rig.requester.address, NRLC(10)))
    error = await refused(rig, rig.requester, calls.approve_and_call(token, hub, NRLC(1), silent))
    assert error.reason == "OperationFailed()"

    check = function("Hub", "assertDatasetDealCompatibility")
    order = tuple(calls.order_tuple(msgspec.structs.replace(dataset, volume=1, dataset=app.app, sign="0x" + "11" * 65)))
    error = await refused(rig, rig.stranger, Call(hub, check.encode(order, "0x" + "11" * 32), "check a dataset"))
    assert error.reason == "IncompatibleDatasetOrder(Invalid dataset order signature)"

    by_index = function("AppRegistry", "tokenByIndex")
    error = await refused(rig, rig.stranger, Call(rig.chain.app_registry, by_index.encode(99), "look"))
    assert error.reason == "ERC721OutOfBoundsIndex(0x0000000000000000000000000000000000000000, 99)"
    error = await refused(rig, rig.stranger, Call(rig.chain.app_registry, function("AppRegistry", "ownerOf").encode(7), "look"))
    assert error.reason == "ERC721NonexistentToken(7)"
    take = Call(rig.chain.app_registry, function("AppRegistry", "transferOwnership").encode(somebody), "take the registry")
    assert (await refused(rig, rig.stranger, take)).reason == f"OwnableUnauthorizedAccount({somebody})"
    theirs = calls.transfer_entry(rig.chain.app_registry, app.app, owner=rig.app_owner.address, recipient=somebody)
    assert (await refused(rig, rig.stranger, theirs)).reason == f"ERC721InsufficientApproval({somebody}, {int(app.app, 16)})"
    gone = calls.create_workerpool(rig.chain.workerpool_registry, Address("0x" + "00" * 20), "nobody's")
    assert (await refused(rig, rig.stranger, gone)).reason == "ERC721InvalidReceiver(0x0000000000000000000000000000000000000000)"


async def test_words_of_the_hub(rig: Rig) -> None:
    hub = rig.chain.hub_address
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    replace = msgspec.structs.replace
    cases = [
        (calls.match_orders(hub, app, None, replace(pool, category=1), request), "iExecV5-matchOrders-0x00", "category"),
        (calls.match_orders(hub, app, None, replace(pool, trust=1), request), "iExecV5-matchOrders-0x02", "trust"),
        (calls.match_orders(hub, app, None, replace(pool, workerpoolprice=NRLC(99 * RLC)), request), "iExecV5-matchOrders-0x05", "price"),
        (calls.match_orders(hub, replace(app, sign="0x" + "11" * 65), None, pool, request), "iExecV5-matchOrders-0x21", "signed"),
        (calls.match_orders(hub, replace(app, sign="0x"), None, pool, request), "invalid-signature-format", "sign"),
        (calls.match_orders(hub, app, None, pool, request), "IexecEscrow: Transfer amount exceeds balance", "deposits"),
        (calls.manage_order(hub, app, Operation.CLOSE, "0x" + "11" * 65), "invalid-sender-or-signature", "owner"),
        (Call(hub, b"\1\2\3\4", "call nothing"), "fallback-disabled", "no such function"),
        (Call(hub, function("Hub", "setCallbackGas").encode(1), "change gas"), "Ownable: caller is not the owner", "owner"),
        (Call(hub, function("Hub", "resultFor").encode("0x" + "11" * 32), "pull"), "task-pending", "wait"),
    ]
    for call, reason, hint in cases:
        error = await refused(rig, rig.stranger, call)
        assert error.reason == reason
        assert hint in error.hint
        assert call.label in str(error)


async def test_silent_refusals_name_the_conditions(rig: Rig) -> None:
    hub, token = rig.chain.hub_address, rig.chain.token_address
    task, digest = TaskId(Hash32("0x" + "11" * 32)), Hash32("0x" + "22" * 32)
    admission = Admission("0x" + "11" * 65)
    silent = [
        (calls.withdraw(hub, NRLC(1)), "not locked"),
        (calls.deposit(hub, NRLC(1)), "approved the hub"),
        (calls.transfer(token, hub, NRLC(1)), "hold so many tokens"),
        (calls.claim(hub, task), "final deadline passed"),
        (calls.reveal(hub, task, digest), "must be revealing"),
        (calls.finalize(hub, task, b""), "only the deal's scheduler"),
        (calls.reopen(hub, task), "only the deal's scheduler"),
        (calls.initialize(hub, await rig.deal(volume=1), 1), "belong to the deal"),
        (calls.contribute(hub, task, result_hash=digest, result_seal=digest, admission=admission), "must be active"),
        (calls.contribute_and_finalize(hub, task, digest=digest, results=b"", admission=admission), "of trust 1"),
    ]
    for call, hint in silent:
        error = await refused(rig, rig.stranger, call)
        assert error.reason == ""
        assert "the contract gave no reason" in error.message
        assert hint in error.hint


async def test_a_failure_that_was_paid_for_still_has_its_reason(rig: Rig) -> None:
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    call = calls.match_orders(rig.chain.hub_address, app, None, pool, request)
    with pytest.raises(RevertError) as caught:
        await rig.send(rig.stranger, Call(call.to, call.data, call.label, gas=2_000_000))
    assert caught.value.reason == "IexecEscrow: Transfer amount exceeds balance"
    with pytest.raises(RevertError, match="out of gas"):
        await rig.send(
            rig.app_owner, Call(call.to, calls.manage_order(rig.chain.hub_address, app, Operation.SIGN).data, "sign", gas=60_000)
        )


async def test_a_wallet_without_coin(rig: Rig) -> None:
    poor = KeySigner(b"\x77" * 32)
    call = calls.approve(rig.chain.token_address, rig.chain.hub_address, NRLC(1))
    with pytest.raises(FundsError, match=f"the wallet {poor.address} holds 0 wei"):
        await Sender(rig.chain, poor).send(call)
    assert to_hex(b"\x77" * 32) not in repr(poor)
