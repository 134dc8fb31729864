"""A transaction is shown as it ran: calls in calls, reasons, events, instructions; on the state before it, whatever happened since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from tests.support.devnet import ADDRESSES, COIN, KEYS, notebook, signed
from tests.support.devnet_contract import Author, Book
from voisin.chain.devnet import Devnet, DevnetSettings, EngineName, RpcError, serve_devnet
from voisin.chain.devnet.wire import trace_methods

pytestmark = pytest.mark.anyio
TREE: dict[str, Any] = {"tracer": "callTracer", "tracerConfig": {"withLog": True}}


@pytest.fixture
async def node() -> AsyncIterator[Devnet]:
    async with serve_devnet(DevnetSettings(call_timeout_s=120)) as node:
        yield node


@pytest.fixture
async def book(node: Devnet) -> Book:
    return await Author(node).deploy()


async def ask(node: Devnet, method: str, *params: object) -> Any:
    return await node.request(method, list(params))  # type: ignore[arg-type]


async def traced(node: Devnet, receipt: dict[str, Any], options: object = TREE) -> Any:
    return await ask(node, "debug_traceTransaction", receipt["transactionHash"], options)


async def test_plain_transfer(node: Devnet) -> None:
    receipt = await Author(node).send(to=ADDRESSES[1], value=COIN, gas=21_000)
    assert await traced(node, receipt) == {
        "type": "CALL",
        "from": ADDRESSES[0].lower(),
        "to": ADDRESSES[1].lower(),
        "value": hex(COIN),
        "gas": "0x5208",
        "gasUsed": "0x5208",
        "input": "0x",
    }


async def test_creation(node: Devnet, book: Book) -> None:
    head = await ask(node, "eth_getBlockByNumber", "latest", False)
    tree = await ask(node, "debug_traceTransaction", head["transactions"][0], TREE)
    assert (tree["type"], tree["to"]) == ("CREATE", book.address.lower())
    assert tree["input"] == "0x" + notebook().init_code(5).hex()
    assert tree["output"] == await ask(node, "eth_getCode", book.address, "latest")
    assert tree["gasUsed"] == head["gasUsed"]


async def test_calls_in_calls_with_their_events(node: Devnet, book: Book) -> None:
    nested = await traced(node, await book.send("nest", 2, False))
    depths = []
    while True:
        depths.append((nested["type"], nested["from"], nested["to"]))
        if "calls" not in nested:
            break
        (nested,) = nested["calls"]
    me, contract = ADDRESSES[0].lower(), book.address.lower()
    assert depths == [("CALL", me, contract), ("CALL", contract, contract), ("CALL", contract, contract)]
    written = await traced(node, await book.send("write", 1, (7, "hello")))
    (log,) = written["logs"]
    assert (log["address"], log["position"]) == (contract, "0x0")
    assert log["topics"][1:] == ["0x" + me[2:].rjust(64, "0"), "0x" + f"{1:064x}"]
    assert "logs" not in await traced(node, await book.send("write", 1, (7, "hello")), {"tracer": "callTracer"})


async def test_reason_of_a_failure(node: Devnet, book: Book) -> None:
    tree = await traced(node, await book.send("write", 1, (0, "")))
    assert (tree["error"], tree["revertReason"]) == ("execution reverted", "a note has a weight")
    assert tree["output"].startswith("0x08c379a0")
    tree = await traced(node, await book.send("refuse", 42))
    assert tree["error"] == "execution reverted"
    assert "revertReason" not in tree
    tree = await traced(node, await book.send("burn", 10**6, gas=60_000))
    assert (tree["error"], tree["gasUsed"]) == ("out of gas", hex(60_000))


async def test_failure_that_the_caller_survived(node: Devnet, book: Book) -> None:
    receipt = await book.send("try_burn", 100_000, gas=100_000)
    assert receipt["status"] == "0x1"
    tree = await traced(node, receipt)
    assert "error" not in tree
    assert tree["calls"][0]["error"] == "out of gas"
    assert "calls" not in await traced(node, receipt, {"tracer": "callTracer", "tracerConfig": {"onlyTopCall": True}})


async def test_every_kind_of_call(node: Devnet) -> None:
    # CALLCODE, DELEGATECALL and STATICCALL to the identity contract, then CREATE and CREATE2 of nothing
    code = "5f5f5f5f5f60045af2505f5f5f5f60045af4505f5f5f5f60045afa505f5f5ff0505f5f5f5ff55000"
    await ask(node, "anvil_setCode", "0x" + "aa" * 20, "0x" + code)
    receipt = await Author(node).send(to="0x" + "aa" * 20, gas=300_000)
    tree = await traced(node, receipt)
    assert [call["type"] for call in tree["calls"]] == ["CALLCODE", "DELEGATECALL", "STATICCALL", "CREATE", "CREATE2"]
    assert [call["to"] for call in tree["calls"][:3]] == ["0x" + "00" * 19 + "04"] * 3
    assert {call["from"] for call in tree["calls"]} == {"0x" + "aa" * 20}
    assert "value" not in tree["calls"][2]


async def test_state_before_and_not_the_present_one(node: Devnet, book: Book) -> None:
    first = await book.send("write", 1, (7, "first"))
    before = await traced(node, first)
    await book.send("write", 1, (7, "second"))
    await ask(node, "anvil_setCode", book.address, "0x00")
    assert await traced(node, first) == before


async def test_each_instruction(node: Devnet, book: Book) -> None:
    receipt = await book.send("write", 1, (7, "hello"))
    found = await traced(node, receipt, {"enableMemory": True})
    assert (found["gas"], found["failed"], found["returnValue"]) == (int(receipt["gasUsed"], 16), False, "0x")
    steps = found["structLogs"]
    assert (steps[0]["pc"], steps[0]["op"], steps[0]["depth"], steps[0]["stack"]) == (0, "PUSH0", 1, [])
    for step, after in pairwise(steps):
        assert step["gas"] - step["gasCost"] == after["gas"]
    stores = [step for step in steps if step["op"] == "SSTORE"]
    assert len(stores[-1]["storage"]) >= 3
    assert any("memory" in step for step in steps)
    bare = await traced(node, receipt, {"disableStack": True, "disableStorage": True, "limit": 5})
    assert [step.keys() for step in bare["structLogs"]] == [{"pc", "op", "gas", "gasCost", "depth"}] * 5


async def test_instruction_that_does_not_exist_ends_the_list(node: Devnet) -> None:
    await ask(node, "anvil_setCode", "0x" + "aa" * 20, "0x5f0c")
    found = await traced(node, await Author(node).send(to="0x" + "aa" * 20), {})
    assert [step["op"] for step in found["structLogs"]] == ["PUSH0", "opcode 0xc not defined"]
    assert found["failed"] is True


async def test_run_too_long_to_be_listed(node: Devnet, book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trace_methods.MAX_STEPS == 50_000
    monkeypatch.setattr(trace_methods, "MAX_STEPS", 1_000)
    receipt = await book.send("burn", 60, gas=3_000_000)
    with pytest.raises(RpcError, match="more than 1000 instructions"):
        await traced(node, receipt, {})
    assert len((await traced(node, receipt, {"limit": 10}))["structLogs"]) == 10
    with pytest.raises(RpcError, match="more than 1000 instructions"):
        await traced(node, receipt, {"limit": 10**9})


async def test_call_that_was_never_sent(node: Devnet, book: Book) -> None:
    call = book.call_params("write", 1, (0, ""))
    assert (await ask(node, "debug_traceCall", call, "latest", TREE))["revertReason"] == "a note has a weight"
    written = book.call_params("written")
    word = "0x" + f"{9:064x}"
    pretended = {**TREE, "stateOverrides": {book.address: {"stateDiff": {"0x" + "00" * 32: word}}}, "blockOverrides": {"number": "0x9"}}
    assert (await ask(node, "debug_traceCall", written, "latest", pretended))["output"] == word
    assert int((await ask(node, "debug_traceCall", written, "latest", TREE))["output"], 16) == 5
    with pytest.raises(RpcError, match="insufficient funds"):
        await ask(node, "debug_traceCall", {"from": "0x" + "12" * 20, "to": book.address, "value": "0x1"}, "latest", TREE)
    with pytest.raises(RpcError, match="header not found"):
        await ask(node, "debug_traceCall", written, "0x99", TREE)


async def test_flat_lists_and_blocks(node: Devnet, book: Book) -> None:
    receipt = await book.send("nest", 2, False)
    flat = await ask(node, "trace_transaction", receipt["transactionHash"])
    assert [(each["traceAddress"], each["subtraces"], each["type"]) for each in flat] == [
        ([], 1, "call"),
        ([0], 1, "call"),
        ([0, 0], 0, "call"),
    ]
    assert {each["transactionHash"] for each in flat} == {receipt["transactionHash"]}
    assert await ask(node, "trace_block", receipt["blockNumber"]) == flat
    assert await ask(node, "trace_block", "0x0") == []
    (block,) = await ask(node, "debug_traceBlockByNumber", receipt["blockNumber"], TREE)
    assert block == {"txHash": receipt["transactionHash"], "result": await traced(node, receipt)}
    assert await ask(node, "debug_traceBlockByHash", receipt["blockHash"], TREE) == [block]
    failed = await ask(node, "trace_transaction", (await book.send("refuse", 1))["transactionHash"])
    assert failed[0]["error"] == "Reverted"
    created = await ask(node, "trace_block", "0x1")
    assert (created[0]["type"], created[0]["result"]["address"]) == ("create", book.address.lower())


async def test_what_cannot_be_traced_is_refused(node: Devnet) -> None:
    with pytest.raises(RpcError, match="transaction not found"):
        await ask(node, "debug_traceTransaction", "0x" + "11" * 32)
    waiting = await ask(node, "eth_sendRawTransaction", "0x" + signed(KEYS[0], 5, to=ADDRESSES[1]).hex())
    with pytest.raises(RpcError, match="transaction not found"):
        await ask(node, "debug_traceTransaction", waiting)
    receipt = await Author(node).send(to=ADDRESSES[1])
    with pytest.raises(RpcError, match="there is no such tracer"):
        await traced(node, receipt, {"tracer": "prestateTracer"})


async def test_run_that_takes_too_long_is_stopped() -> None:
    async with serve_devnet(DevnetSettings(call_timeout_s=0.2)) as node:
        await ask(node, "anvil_setCode", "0x" + "aa" * 20, "0x5b5f56")  # for ever
        with pytest.raises(RpcError, match="took too long"):
            await ask(node, "debug_traceCall", {"to": "0x" + "aa" * 20}, "latest", TREE)


@pytest.mark.parametrize("engine", ["eels"])
async def test_chain_of_another_engine_is_traced_alike(engine: EngineName) -> None:
    trees = []
    for settings in (DevnetSettings(), DevnetSettings(engine=engine)):
        async with serve_devnet(settings) as node:
            book = await Author(node).deploy()
            trees.append(await traced(node, await book.send("nest", 1, False)))
    assert trees[0] == trees[1]


async def test_list_of_what_a_call_uses(node: Devnet, book: Book) -> None:
    call = book.call_params("write", 1, (7, "hello"))
    found = await ask(node, "eth_createAccessList", call)
    ((entry),) = found["accessList"]
    assert entry["address"] == book.address.lower()
    assert "0x" + "00" * 32 in entry["storageKeys"]
    assert len(entry["storageKeys"]) == 4  # the count, and weight, length and text of the note
    listed = await book.send("write", 1, (7, "hello"), accessList=[{**entry, "address": book.address}])
    assert listed["gasUsed"] == found["gasUsed"]
    assert (await ask(node, "eth_createAccessList", book.call_params("refuse", 1)))["error"] == "execution reverted"


async def test_contract_that_never_comes_to_rest_has_no_list() -> None:
    async with serve_devnet(DevnetSettings(call_timeout_s=0.5)) as node:
        # reads the slot that has the number of the gas left, which each announcement changes
        await ask(node, "anvil_setCode", "0x" + "aa" * 20, "0x5a545000")
        with pytest.raises(RpcError, match="took too long"):
            await ask(node, "eth_createAccessList", {"to": "0x" + "aa" * 20})
