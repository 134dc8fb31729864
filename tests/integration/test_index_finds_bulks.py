"""Deals over bulks of datasets: what storage has is found and shown, what it lacks is asked for again, what makes no sense is empty."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.support.patience import a_moment
from voisin.index import IndexSettings, run_index
from voisin.index.facts import Places, TransactionFacts
from voisin.index.twin import TwinBlock, TwinLedger
from voisin.protocol.eip712 import Domain
from voisin.protocol.events import Logged, OrdersMatched, SchedulerNotice, TaskInitialized
from voisin.protocol.ids import ZERO_ADDRESS, DealId, Hash32, OrderHash, as_address, hash32_of, task_id
from voisin.protocol.records import Deal, Resource
from voisin.protocol.rules import new_task
from voisin.protocol.tags import NO_TAG
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, StorageClient, create_storage_app
from voisin.units import NRLC, UnixSeconds

pytestmark = pytest.mark.anyio

HUB, TOKEN, APPS, DATASETS, POOLS, WHO = (as_address(f"0x{number:040x}") for number in range(1, 7))
DOMAIN = Domain(chain_id=31337, hub=HUB)
DEAL = DealId(hash32_of(b"deal"))
REQUEST = OrderHash(hash32_of(b"request"))
DEADLINE_S = 120
QUERY = """query($where: Deal_filter){ deals(where:$where){ bulk { hash slices { index } }
    tasks{ taskId: id bulkSlice{ datasets{ id } datasetOrders { id datasetprice volume } hash } } } }"""


def order(number: int, **changes: object) -> dict[str, object]:
    """A signed dataset order, as the ecosystem's client writes it."""
    plain: dict[str, object] = dict.fromkeys(("apprestrict", "workerpoolrestrict", "requesterrestrict"), ZERO_ADDRESS)
    plain |= {"dataset": as_address(f"0x{number:040x}"), "datasetprice": "0", "volume": "9007199254740990"}
    return plain | {"tag": NO_TAG, "salt": "0x" + "00" * 32, "sign": "0x" + "11" * 65} | changes


def chain_with_deal(cid: str, size: int = 2) -> TwinLedger:
    """A chain with one deal over a bulk, whose tasks have begun."""
    ledger = TwinLedger(DOMAIN, Places(HUB, TOKEN, APPS, DATASETS, POOLS))
    nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    deal = Deal(
        app=Resource(APPS, WHO, NRLC(1)), dataset=nobody, workerpool=Resource(POOLS, WHO, NRLC(2)), trust=1, category=0, tag=NO_TAG,
        requester=WHO, beneficiary=WHO, callback=ZERO_ADDRESS, params=json.dumps({"bulk_cid": cid}), start_time=UnixSeconds(5), bot_first=0,
        bot_size=size, worker_stake=NRLC(0), scheduler_reward_ratio=1, sponsor=WHO,
    )  # fmt: skip
    ledger.known.deals[DEAL] = deal
    name = hash32_of(b"transaction")
    ledger.known.transactions[name] = TransactionFacts(sender=WHO, recipient=HUB, value=0, gas_limit=1, gas_used=1, gas_price=1)
    orders = [OrderHash(hash32_of(bytes([number]))) for number in range(3)]
    events: list[Any] = [SchedulerNotice(POOLS, DEAL), OrdersMatched(DEAL, *orders, REQUEST, size)]
    for index in range(size):
        task = task_id(DEAL, index)
        ledger.known.tasks[task] = new_task(DEAL, index, deal, 60)
        events.append(TaskInitialized(task, POOLS))
    logged = tuple(Logged(event, HUB, 0, place, name) for place, event in enumerate(events))
    ledger.blocks = [TwinBlock(Hash32(name), UnixSeconds(1000), logged)]
    return ledger


@dataclass
class Stored:
    """Storage, and what was put there."""

    url: str
    client: StorageClient

    async def put(self, document: object) -> str:
        """Store a JSON document; answers its name."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return str(await self.client.put_bytes(data))


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Stored]:
    """A storage of its own."""
    async with serve_app(create_storage_app(BlobStore(tmp_path / "blobs"))) as url, StorageClient(url) as client:
        yield Stored(url, client)


async def shown(ledger: TwinLedger, database_url: str, storage_url: str, *, wait_for_bulk: bool = True) -> Any:
    """Index a chain, and show its deal once its bulk is there."""
    settings = IndexSettings(hub=HUB, database_url=database_url, storage_url=storage_url)
    async with (
        run_index(settings, ledger) as index,
        httpx.AsyncClient(transport=httpx.ASGITransport(index.app), base_url="http://index") as http,
    ):
        with anyio.fail_after(DEADLINE_S):
            while True:
                answer = (await http.post("/", json={"query": QUERY, "variables": {"where": {"requestorder": REQUEST}}})).json()
                assert "errors" not in answer, answer
                (deal,) = answer["data"]["deals"] or [None]
                if deal is not None and (deal["bulk"] is not None or not wait_for_bulk):
                    return deal
                await a_moment()


async def test_slices_are_found_and_shown(stored: Stored, database_url: str) -> None:
    """Each task shows its own slice; what of it makes no sense is left out; slices beyond the deal are not looked up."""
    first = await stored.put([order(0xA1), order(0xB2), {"dataset": 7}, order(0xC3, tag="0x12"), "x"])
    second = await stored.put([order(0xD4, datasetprice="1500000000")])
    root = await stored.put([first, second, "bafkreinothinghere"])
    deal = await shown(chain_with_deal(root), database_url, stored.url)
    tasks = {task["taskId"]: task["bulkSlice"] for task in deal["tasks"]}
    assert deal["bulk"] == {"hash": root, "slices": [{"index": "0"}, {"index": "1"}]}
    slice_ = tasks[task_id(DEAL, 0)]
    assert slice_["hash"] == first
    assert [each["id"][-2:] for each in slice_["datasetOrders"]] == ["-0", "-1"]
    assert slice_["datasets"] == [], "the datasets themselves are in no registry of this chain"
    (other,) = tasks[task_id(DEAL, 1)]["datasetOrders"]
    assert (other["datasetprice"], other["volume"]) == ("1.5", "9007199254740990")


@pytest.mark.parametrize("document", [b"not json", b"{}", b"[1, null]", b"[" * 5000])
async def test_what_makes_no_sense_is_a_bulk_without_slices(stored: Stored, database_url: str, document: bytes) -> None:
    deal = await shown(chain_with_deal(await stored.put(document)), database_url, stored.url)
    assert deal["bulk"]["slices"] == []
    assert [task["bulkSlice"] for task in deal["tasks"]] == [None, None]


async def test_what_is_missing_is_found_later(stored: Stored, database_url: str, tmp_path: Path) -> None:
    """Without its slice the bulk is not shown; once the slice is stored, the next start finds it."""
    late = json.dumps([order(0xA1)]).encode()
    async with serve_app(create_storage_app(BlobStore(tmp_path / "elsewhere"))) as url, StorageClient(url) as elsewhere:
        name = str(await elsewhere.put_bytes(late))
    ledger = chain_with_deal(await stored.put([name]), size=1)
    deal = await shown(ledger, database_url, stored.url, wait_for_bulk=False)
    assert deal["bulk"] is None
    await stored.put(late)
    assert (await shown(ledger, database_url, stored.url))["bulk"]["slices"] == [{"index": "0"}]
