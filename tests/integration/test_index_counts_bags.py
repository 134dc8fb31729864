"""A deal that is settled as a bag, in the index: no task of it is there, and the deal says how many were done and how many refunded."""

from __future__ import annotations

from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.bag_on_chain import PARAMS, WINDOW_S, BagScheduler
from tests.support.chain_rig import Rig, open_rig
from tests.support.patience import a_moment
from voisin.chain import bags
from voisin.index import Index, IndexSettings, open_index
from voisin.protocol.ids import DealId

pytestmark = pytest.mark.anyio
QUESTION = """query($deal: ID!) {
  deal(id: $deal) { completedTasksCount claimedTasksCount tasks { id } }
  protocol(id: "iExec") { completedTasksCount claimedTasksCount }
  seizes { value task { id } }
}"""


async def asked(rig: Rig, index: Index, http: httpx.AsyncClient, deal: DealId) -> tuple[list[str], int]:
    """The counts of the deal, which are those of the protocol too, and how often money was seized."""
    head = await rig.chain.block_number()
    with anyio.fail_after(120):
        while (await index.service.health()).next_block <= head:
            await a_moment()
    answer = await http.post("/", json={"query": QUESTION, "variables": {"deal": deal}})
    assert "errors" not in answer.json(), answer.text
    data = answer.json()["data"]
    counts = [data["deal"][name] for name in ("completedTasksCount", "claimedTasksCount")]
    assert [data["protocol"][name] for name in ("completedTasksCount", "claimedTasksCount")] == counts
    assert data["deal"]["tasks"] == []
    assert all(seize["task"] is None for seize in data["seizes"])
    return counts, len(data["seizes"])


@pytest.mark.parametrize(("ending", "counts"), [("settled", ["2", "1"]), ("proven wrong", ["0", "3"]), ("given back", ["0", "3"])])
async def test_how_a_bag_ended(tmp_path: Path, ending: str, counts: list[str]) -> None:
    async with open_rig() as rig:
        scheduler = BagScheduler(rig, await rig.deal(volume=3, trust=3, params=PARAMS))
        settings = IndexSettings(
            hub=rig.chain.hub_address, rpc_url=rig.node.rpc_url, database_url=f"sqlite:///{tmp_path / 'index.sqlite'}"
        )  # fmt: skip
        async with (
            open_index(settings) as index,
            httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as http,
        ):
            assert await asked(rig, index, http, scheduler.deal) == (["0", "0"], 0)
            scheduler.honest(3, missing=[1], workers=1 if ending == "proven wrong" else 2)
            if ending == "given back":
                await scheduler.give_back()
            else:
                await scheduler.post()
            if ending == "proven wrong":
                await rig.send(rig.stranger, bags.prove_little_trust(rig.chain.hub_address, scheduler.posted, scheduler.shown(0)))
            else:
                await rig.node.request("evm_increaseTime", [WINDOW_S])
                await rig.send(rig.stranger, bags.settle_bag(rig.chain.hub_address, scheduler.posted))
            found, seized = await asked(rig, index, http, scheduler.deal)
            assert found == counts
            assert seized > 0
