"""The index on real contracts: entries, deals, tasks and money, asked as the ecosystem's clients and explorers ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.support.chain_rig import APP_PRICE, DIGEST, POOL_PRICE, RLC, Rig, open_rig
from tests.support.patience import a_moment
from voisin.index import Index, IndexSettings, open_index
from voisin.protocol.ids import ZERO_ADDRESS, DealId, TaskId

pytestmark = pytest.mark.anyio

DEADLINE_S = 120


@dataclass
class Asking:
    """An index of a rig's chain, and a client of it."""

    rig: Rig
    index: Index
    http: httpx.AsyncClient

    async def caught_up(self) -> None:
        """Wait until the index has recorded the chain's latest block."""
        head = await self.rig.chain.block_number()
        with anyio.fail_after(DEADLINE_S):
            while (await self.index.service.health()).next_block <= head:
                await a_moment()

    async def ask(self, query: str, path: str = "/", **variables: object) -> Any:
        """Ask, and see that nothing is wrong."""
        answer = await self.http.post(path, json={"query": query, "variables": variables})
        assert answer.status_code == 200, answer.text
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@dataclass
class Story:
    """A chain on which something has happened."""

    rig: Rig
    deal: DealId
    tasks: list[TaskId]


@pytest.fixture(scope="module")
async def story() -> AsyncIterator[Story]:
    """A deal of three tasks: one completed, one begun, one not begun."""
    async with open_rig() as rig:
        deal = await rig.deal(volume=3, trust=3)
        done = await rig.complete(deal)
        yield Story(rig, deal, [done])


@pytest.fixture(scope="module")
async def asking(story: Story, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asking]:
    """An index that has recorded the story."""
    database = f"sqlite:///{tmp_path_factory.mktemp('index') / 'index.sqlite'}"
    settings = IndexSettings(hub=story.rig.chain.hub_address, rpc_url=story.rig.node.rpc_url, database_url=database)
    async with (
        open_index(settings) as index,
        httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as http,
    ):
        asked = Asking(story.rig, index, http)
        await asked.caught_up()
        yield asked


async def test_a_deal_is_what_the_hub_says(story: Story, asking: Asking) -> None:
    deal = await story.rig.chain.hub.deal(story.deal)
    found = (
        await asking.ask(
            """query Deal($id: ID!) { deal(id: $id) {
                dealid: id app { id name owner { id } } appPrice dataset { id } datasetPrice workerpool { id description }
                workerpoolPrice trust category { id workClockTimeRef } tag requester { id } beneficiary { id } callback { id }
                params startTime botFirst botSize workerStake completedTasksCount claimedTasksCount sponsor { id }
                events { __typename transaction { id } } } }""",
            id=story.deal,
        )
    )["deal"]
    assert found["dealid"] == story.deal
    assert found["app"] == {"id": deal.app.pointer.lower(), "name": "app", "owner": {"id": deal.app.owner.lower()}}
    assert (found["appPrice"], found["workerpoolPrice"]) == (str(APP_PRICE // RLC), str(POOL_PRICE // RLC))
    assert found["dataset"] is None
    assert found["workerpool"] == {"id": deal.workerpool.pointer.lower(), "description": "pool"}
    assert found["category"] == {"id": "0", "workClockTimeRef": "300"}
    assert (found["requester"], found["callback"]) == ({"id": deal.requester.lower()}, {"id": ZERO_ADDRESS})
    assert (found["botSize"], found["completedTasksCount"], found["claimedTasksCount"]) == ("3", "1", "0")
    assert found["startTime"] == str(deal.start_time)
    assert [event["__typename"] for event in found["events"]] == ["OrdersMatched"]


async def test_money_is_what_the_hub_says(story: Story, asking: Asking) -> None:
    """Every account's free and locked money, rebuilt from events alone, is the hub's."""
    found = await asking.ask('{ accounts(first: 1000) { id balance frozen score } protocol(id: "iExec") { tvl } }')
    hub, total = story.rig.chain.hub, 0
    wallets = {wallet.address.lower(): wallet.address for wallet in (story.rig.requester, story.rig.scheduler, *story.rig.workers)}
    shown = {account["id"]: account for account in found["accounts"]}
    for name, address in wallets.items():
        account = await hub.account(address)
        assert float(shown[name]["balance"]) * RLC == account.stake
        assert float(shown[name]["frozen"]) * RLC == account.locked
        assert shown[name]["score"] == str(await hub.score(address))
    total = sum(round(float(account["balance"]) * RLC) for account in shown.values())
    assert round(float(found["protocol"]["tvl"]) * RLC) == total


async def test_a_task_is_told_from_beginning_to_end(story: Story, asking: Asking) -> None:
    task = await story.rig.chain.hub.task(story.tasks[0])
    found = (
        await asking.ask(
            """query ($id: ID!) { task(id: $id) { status index deal { id } requester { id } consensus resultDigest results resultsCallback
                contributionDeadline revealDeadline finalDeadline contributions(orderBy: id) { status worker { id } hash seal challenge }
                events(orderBy: timestamp) { __typename ... on TaskContribute { worker { id } hash } ... on TaskReveal { digest } }
                rewards { account { id } value } seizes { value } bulkSlice { id } } }""",
            id=story.tasks[0],
        )
    )["task"]
    assert (found["status"], found["index"], found["deal"]["id"]) == ("COMPLETED", "0", story.deal)
    assert (found["consensus"], found["resultDigest"]) == (task.consensus, DIGEST)
    assert (found["results"], found["resultsCallback"]) == ("0x" + b"over there".hex(), "0x")
    assert [found[f"{name}Deadline"] for name in ("contribution", "reveal", "final")] == [
        str(each) for each in (task.contribution_deadline, task.reveal_deadline, task.final_deadline)
    ]
    crew = {worker.address.lower() for worker in story.rig.workers[:2]}
    assert {each["worker"]["id"] for each in found["contributions"]} == crew
    assert {each["status"] for each in found["contributions"]} == {"PROVED"}
    names = [event["__typename"] for event in found["events"]]
    assert sorted(names) == sorted(["TaskInitialize", *["TaskContribute"] * 2, "TaskConsensus", *["TaskReveal"] * 2, "TaskFinalize"])
    assert found["bulkSlice"] is None
    assert sum(float(reward["value"]) for reward in found["rewards"]) == float(APP_PRICE + POOL_PRICE) / RLC


async def test_what_dataprotector_asks(story: Story, asking: Asking) -> None:
    """The deals of a request order with their tasks and bulk slices."""
    deal = (await asking.ask("query ($id: ID!) { deal(id: $id) { requestorder { id params } } }", id=story.deal))["deal"]
    query = "query($where: Deal_filter){ deals(where:$where){ tasks{ taskId: id bulkSlice{ datasets{ id } } } } }"
    found = await asking.ask(query, where={"requestorder": deal["requestorder"]["id"]})
    assert found == {"deals": [{"tasks": [{"taskId": story.tasks[0], "bulkSlice": None}]}]}
    assert (await asking.ask(query, where={"requestorder": "0x" + "00" * 32})) == {"deals": []}
    assert deal["requestorder"]["params"] == "{}"


async def test_meta_says_how_far_it_is(story: Story, asking: Asking) -> None:
    await asking.caught_up()
    meta = (await asking.ask("{ _meta { block { number hash timestamp } deployment hasIndexingErrors } }"))["_meta"]
    assert meta["block"]["number"] >= 1
    assert len(meta["block"]["hash"]) == 66
    assert meta["hasIndexingErrors"] is False


async def test_the_past_can_be_asked(story: Story, asking: Asking) -> None:
    """As of the block before the match there is no deal; as of the match its task is not completed."""
    found = (await asking.ask("query ($id: ID!) { deal(id: $id) { events { transaction { blockNumber } } } }", id=story.deal))["deal"]
    block = int(found["events"][0]["transaction"]["blockNumber"])
    query = "query ($id: ID!, $number: Int!) { deal(id: $id, block: {number: $number}) { completedTasksCount } }"
    assert (await asking.ask(query, id=story.deal, number=block - 1)) == {"deal": None}
    assert (await asking.ask(query, id=story.deal, number=block)) == {"deal": {"completedTasksCount": "0"}}


async def test_the_library_answers_what_is_asked_about_the_schema(asking: Asking) -> None:
    found = await asking.ask('{ __schema { queryType { name } } __type(name: "Deal") { fields { name } } __typename }')
    assert found["__schema"] == {"queryType": {"name": "Query"}}
    assert {"name": "botSize"} in found["__type"]["fields"]
    assert found["__typename"] == "Query"


async def test_an_answer_knows_the_block_of_a_moment_ago(tmp_path: Path) -> None:
    """Blocks are gathered until somebody asks."""
    async with open_rig() as rig:
        settings = IndexSettings(
            hub=rig.chain.hub_address,
            rpc_url=rig.node.rpc_url,
            database_url=f"sqlite:///{tmp_path / 'index.sqlite'}",
            gather_s=3600,
            catch_up_s=DEADLINE_S,
        )
        async with (
            open_index(settings) as index,
            httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as http,
        ):
            asking = Asking(rig, index, http)
            await asking.caught_up()
            deal = await rig.deal(volume=1, trust=3)
            assert (await asking.ask("query Deal($id: ID!) { deal(id: $id) { id } }", id=deal))["deal"] == {"id": deal}
            task = await rig.complete(deal)
            found = await asking.ask("query Task($id: ID!) { task(id: $id) { status } }", id=task)
            assert found["task"] == {"status": "COMPLETED"}
