"""`voisin chain trace` on a real market: a deal that is made, and one that is refused, told call by call."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import pytest

from tests.support.chain_rig import RLC, Rig, open_rig
from voisin.chain import calls
from voisin.cli import main
from voisin.errors import RevertError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """A chain with a market."""
    async with open_rig() as rig:
        yield rig


class Shell:
    """Runs commands against the rig's node while the node's loop goes on."""

    def __init__(self, rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
        self.options = ("--rpc-url", rig.node.rpc_url, "--hub", rig.chain.hub_address)
        self.capsys = capsys

    async def run(self, *words: str, code: int = 0, named: bool = True) -> str:
        """Run a command; give what it prints."""
        options = self.options if named else self.options[:2]
        assert await anyio.to_thread.run_sync(main, [*words, *options]) == code
        printed = self.capsys.readouterr()
        return printed.err if code else printed.out

    async def json(self, *words: str, **how: Any) -> Any:
        """Run a command with --json."""
        return json.loads(await self.run(*words, "--json", **how))


@pytest.fixture
def shell(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(rig, capsys)


async def head_transaction(rig: Rig) -> str:
    block: Any = await rig.node.request("eth_getBlockByNumber", ["latest", False])
    return str(block["transactions"][0])


async def test_deal_is_told_call_by_call(rig: Rig, shell: Shell) -> None:
    await rig.deal()
    printed = await shell.run("chain", "trace", await head_transaction(rig))
    assert " succeeded, " in printed.splitlines()[0]
    lines = [line.strip(" │├└─") for line in printed.splitlines()]
    assert any("Hub.matchOrders(_apporder={app=0x" in line for line in lines)
    assert any("MatchingFacet.matchOrders(…) delegatecall" in line for line in lines)
    assert "[3,000] ecrecover(128 bytes) staticcall" in lines
    # several contracts have owner(), so none is named
    assert any(re.fullmatch(r"\[[0-9,]+\] 0x\w+…\w+\.owner\(\) staticcall", line) for line in lines)
    assert any(line.startswith("event OrdersMatched(dealid=0x") for line in lines)
    assert any("AppRegistry.isRegistered(" in line and line.endswith("staticcall") for line in lines)
    assert "→ true" in lines
    assert "\x1b[" not in printed  # no colours where nobody looks


async def test_document_holds_all_of_it(rig: Rig, shell: Shell) -> None:
    await rig.deal(volume=3)
    transaction = await head_transaction(rig)
    document = await shell.json("chain", "trace", transaction)
    outer = document["call"]
    assert (document["transaction"], outer["contract"], outer["call"]["name"]) == (transaction, "Hub", "matchOrders")
    assert (outer["sender"], outer["to"]) == (rig.stranger.address, rig.chain.hub_address)
    request = next(each["value"] for each in outer["call"]["arguments"] if each["name"] == "_requestorder")
    assert (request["requester"], request["volume"]) == (rig.requester.address, "3")
    (inner,) = outer["calls"]
    assert (inner["kind"], inner["contract"]) == ("DELEGATECALL", "MatchingFacet")
    matched = next(each["event"] for each in inner["events"] if each["event"]["name"] == "OrdersMatched")
    assert {each["name"]: each["value"] for each in matched["arguments"]}["volume"] == "3"
    assert outer["returned"][0]["type"] == "bytes32"


async def test_refusal_names_its_reason_and_what_to_do(rig: Rig, shell: Shell) -> None:
    await rig.fund(rig.requester, RLC)
    app, pool, request = rig.orders(await rig.create_app(), await rig.create_pool())
    call = calls.match_orders(rig.chain.hub_address, app, None, pool, request)
    with pytest.raises(RevertError):
        await rig.send(rig.stranger, call)
    raw: dict[str, Any] = {"from": rig.stranger.address, "to": call.to, "data": "0x" + call.data.hex(), "gas": hex(2_000_000)}
    transaction = str(await rig.node.request("eth_sendTransaction", [raw]))
    printed = await shell.run("chain", "trace", transaction)
    assert "failed: execution reverted: IexecEscrow: Transfer amount exceeds balance" in printed.splitlines()[0]
    assert "hint: an account at the hub holds too little" in " ".join(printed.split())
    assert "✗ execution reverted: IexecEscrow" in printed
    document = await shell.json("chain", "trace", transaction, named=False)
    assert document["call"]["reason"] == "IexecEscrow: Transfer amount exceeds balance"
    assert document["call"]["call"]["name"] == "matchOrders"  # the selector is enough


async def test_what_cannot_be_traced(rig: Rig, shell: Shell) -> None:
    assert "transaction not found" in await shell.run("chain", "trace", "0x" + "11" * 32, code=1)
    assert "0x12" in await shell.run("chain", "trace", "0x12", code=2)


async def test_stranger_s_calls_stay_bytes(rig: Rig, shell: Shell) -> None:
    target = "0x" + "aa" * 20
    await rig.node.request("anvil_setCode", [target, "0x5f5fa0" + "7f" + "11" * 32 + "5f5fa100"])  # two events of nobody's
    transaction = str(
        await rig.node.request("eth_sendTransaction", [{"from": rig.owner.address, "to": target, "data": "0x0badcafe01", "value": "0x5"}])
    )
    printed = await shell.run("chain", "trace", transaction)
    assert ".0x0badcafe(1 bytes) value 0.000000000000000005" in printed
    assert printed.count("event ") == 2
    document = await shell.json("chain", "trace", transaction)
    assert (document["call"]["contract"], document["call"]["data"]) == ("", "0x0badcafe01")
    assert [event["topics"] for event in document["call"]["events"] if "topics" in event] == [["0x" + "11" * 32]]
