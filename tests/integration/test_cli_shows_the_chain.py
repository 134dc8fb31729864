"""`voisin chain trace` and `voisin chain show` on a real market: deals that are made and refused, and all that is on the chain."""

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


async def test_transaction_is_shown_with_its_events(rig: Rig, shell: Shell) -> None:
    await rig.deal()
    transaction = await head_transaction(rig)
    page = await shell.json("chain", "show", transaction, named=False)
    assert (page["line"]["title"], page["line"]["isSuccess"], page["line"]["to"]) == ("matchOrders", True, rig.chain.hub_address)
    assert "OrdersMatched" in [each["event"]["name"] for each in page["events"] if each["event"]]
    printed = " ".join((await shell.run("chain", "show", transaction, named=False)).split())
    assert "result succeeded" in printed
    assert "OrdersMatched(dealid=0x" in printed
    height = page["line"]["block"]
    block = await shell.json("chain", "show", str(height), named=False)
    assert (block["line"]["number"], block["transactions"]) == (height, [page])
    assert await shell.json("chain", "show", block["line"]["hash"], named=False) == block
    assert f"block {height} " in " ".join((await shell.run("chain", "show", str(height), named=False)).split())


async def test_latest_blocks_go_on_page_by_page(rig: Rig, shell: Shell) -> None:
    await rig.create_app()
    await rig.node.request("anvil_setBalance", ["0x" + "99" * 20, "0x1"])
    head = int(str(await rig.node.request("eth_blockNumber", [])), 16)
    numbers: list[int] = []
    before: list[str] = []
    while True:
        page = await shell.json("chain", "show", "--count", "7", *before, named=False)
        numbers += [block["number"] for block in page["blocks"]]
        if page["next"] is None:
            break
        before = ["--before", str(page["next"])]
    assert numbers == list(range(head, -1, -1))
    first = await shell.json("chain", "show", "--count", "2", named=False)
    assert first["blocks"][0]["transaction"] is None  # the balance that was set by hand
    assert first["blocks"][1]["transaction"]["title"] == "createApp"
    printed = await shell.run("chain", "show", "--count", "2", named=False)
    assert "createApp" in printed
    assert f"more with --before {head - 1}" in printed


async def test_address_shows_what_concerned_it(rig: Rig, shell: Shell) -> None:
    app = await rig.create_app()
    await rig.fund(rig.requester, RLC)
    sent: dict[str, Any] = {"from": rig.owner.address, "to": rig.stranger.address, "value": hex(5 * 10**18)}
    await rig.node.request("eth_sendTransaction", [sent])
    failing: dict[str, Any] = {"from": rig.stranger.address, "to": rig.chain.token_address, "data": "0x12345678", "gas": "0x186a0"}
    await rig.node.request("eth_sendTransaction", [failing])
    titles = {}
    for who in (rig.app_owner.address, app, rig.requester.address, rig.stranger.address, rig.chain.token_address):
        page = await shell.json("chain", "show", who, named=False)
        titles[who] = [(line["title"], line["isSuccess"]) for line in page["transactions"]]
    assert titles[rig.app_owner.address] == titles[app] == [("createApp", True)]
    assert titles[rig.requester.address] == [("approveAndCall", True)]
    assert titles[rig.stranger.address] == [("0x12345678", False), ("transfer", True)]
    assert titles[rig.chain.token_address][:2] == [("approveAndCall", True), ("transfer", True)]
    printed = " ".join((await shell.run("chain", "show", rig.stranger.address, named=False)).split())
    assert "kind account" in printed
    assert "0x12345678, failed" in printed
    page = await shell.json("chain", "show", rig.chain.token_address, "--count", "1", named=False)
    rest = await shell.json("chain", "show", rig.chain.token_address, "--before", str(page["next"]), named=False)
    assert [(line["title"], line["isSuccess"]) for line in (*page["transactions"], *rest["transactions"])] == titles[
        rig.chain.token_address
    ]


async def test_what_is_not_there_cannot_be_shown(rig: Rig, shell: Shell) -> None:
    assert "the chain has no 99999" in await shell.run("chain", "show", "99999", code=1, named=False)
    assert "the chain has no 0x1111" in await shell.run("chain", "show", "0x" + "11" * 32, code=1, named=False)
    assert "is no height, hash or address" in await shell.run("chain", "show", "0x12", code=2, named=False)
