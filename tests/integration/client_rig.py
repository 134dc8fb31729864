"""
A market made of its real parts for the tests of client and command line: embedded chain, contracts, order book, storage.

Only the pool is scripted, so that a test decides what workers do: answer well, lie, fail, or do nothing. The app is a sentence
in Python: its result is `out.txt` with the arguments, and what is in the inputs.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx
import msgspec
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal, start_blocking_portal
from litestar import Litestar, get

from tests.support.bag_pool import BagBoard, BagPool, BagScript
from voisin.chain import Admission, Call, Chain, DeploymentTerms, Sender, calls, deployment_plan, execute_plan, follow, open_chain
from voisin.chain.devnet import DevnetSettings, development_keys, serve_devnet
from voisin.chain.keystore import create_keystore
from voisin.chain.rpc import Rpc
from voisin.client.network import Network, save_network
from voisin.market import MarketSettings, open_market
from voisin.protocol.api import PoolView, WorkerView
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.codec import encode
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import SchedulerNotice
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, task_id, to_hex
from voisin.protocol.orders import WorkerpoolOrder
from voisin.protocol.params import BagEntry, decode_bag, parse_params, split_args
from voisin.protocol.records import Category, TaskStatus
from voisin.protocol.results import GuestFailure, encode_link, result_hash, result_seal, sha256, sign_authorization
from voisin.protocol.sealed_result import is_reader_key, seal_result
from voisin.protocol.sealing import seal_archive
from voisin.protocol.signatures import KeySigner
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, StorageClient, create_storage_app
from voisin.units import NRLC, NRLC_PER_RLC, UnixSeconds, Wei

PASSWORD = "a password for tests"
PRICE = NRLC(NRLC_PER_RLC // 10)
POOL_NAME = "scripted pool"
CATEGORIES = (Category("XS", "", 300), Category("S", "", 1200), Category("flash", "", 0))
WASM = b"\0asm\x01\0\0\0"


def sealed_for(archive: bytes, reader_key: str, task: TaskId) -> bytes:
    """Seal a result in the form that belongs to a reader's key."""
    if not is_reader_key(reader_key):
        return seal_archive(archive, reader_key, secrets.token_bytes)
    target = io.BytesIO()
    seal_result(io.BytesIO(archive), target, reader_key, task, secrets.token_bytes)
    return target.getvalue()


@dataclass
class Script:
    """What the pool does with a task, by its arguments' first word; anything else is answered well."""

    liars: set[str] = field(default_factory=lambda: {"lie"})
    failures: set[str] = field(default_factory=lambda: {"fail"})
    forgeries: set[str] = field(default_factory=lambda: {"forge"})
    idle: set[str] = field(default_factory=lambda: {"idle"})
    sealed: set[str] = field(default_factory=lambda: {"seal"})
    reader_key: str = ""
    """What sealed results are sealed for, in either form."""
    bag: BagScript = field(default_factory=BagScript)
    """What it does with bags."""


@dataclass
class Rig:
    """A running market and its people."""

    home: Path
    network: Network
    chain: Chain
    storage: StorageClient
    scheduler: KeySigner
    workers: list[KeySigner]
    requester: KeySigner
    poor: KeySigner
    script: Script
    orders: int = 0

    async def offer(self, *, price: int = PRICE, volume: int = 1000, trust: int = 8, category: int = 0) -> WorkerpoolOrder:
        """Put a workerpool order into the book."""
        assert self.network.workerpool is not None
        self.orders += 1
        order = WorkerpoolOrder(
            workerpool=self.network.workerpool,
            workerpoolprice=NRLC(price),
            volume=volume,
            category=category,
            trust=trust,
            salt=Hash32(f"0x{self.orders:064x}"),
        )
        signed = sign_order(order, self.chain.domain, self.scheduler)
        async with httpx.AsyncClient(base_url=self.network.market_url) as http:
            body = encode({"kind": "workerpool", "order": signed})
            (await http.post("/v1/orders", content=body, headers={"content-type": "application/json"})).raise_for_status()
        return signed


@asynccontextmanager
async def open_rig(home: Path, *, settles_bags: bool = False) -> AsyncIterator[Rig]:
    """Bring a market up: contracts, money for everybody, an order book, storage, a pool that does as its script says."""
    bags = BagBoard()
    wallets = home / "wallets"
    names = ("requester", "scheduler", "poor", "worker-1", "worker-2", "worker-3", "worker-4")
    people = {name: create_keystore(wallets / f"{name}.json", PASSWORD, strength="light") for name in names}
    (home / "password").write_text(PASSWORD + "\n")
    founder = development_keys()[0]
    async with serve_devnet(DevnetSettings(port=0)) as node:
        async with Rpc(node.rpc_url) as rpc:
            deployment = await execute_plan(
                Sender(rpc, founder), deployment_plan(founder.address, 31337, terms=DeploymentTerms(categories=CATEGORIES))
            )
        async with open_chain(node.rpc_url, deployment.hub) as chain:
            await _endow(chain, founder, people)
            workerpool = await _found_pool(chain, people["scheduler"])
            market = MarketSettings(
                database_url=f"sqlite+aiosqlite:///{home / 'market.db'}",
                rpc_url=node.rpc_url,
                hub=deployment.hub,
                start_block=deployment.block,
            )
            crew = [people[f"worker-{number}"] for number in (1, 2, 3, 4)]
            async with (
                serve_app(create_storage_app(BlobStore(home / "blobs"))) as storage_url,
                open_market(market) as opened,
                serve_app(opened.app) as market_url,
                serve_app(_pool_app(chain, workerpool, people["scheduler"], crew, bags if settles_bags else None)) as pool_url,
                StorageClient(storage_url) as storage,
            ):
                network = Network(
                    chain_id=31337,
                    rpc_url=node.rpc_url,
                    hub=deployment.hub,
                    market_url=market_url,
                    storage_url=storage_url,
                    pool_url=pool_url,
                    workerpool=workerpool,
                    wallets={"requester": "wallets/requester.json"},
                    password_file="password",
                    first_block=deployment.block,
                )
                save_network(home, network)
                rig = Rig(home, network, chain, storage, people["scheduler"], crew, people["requester"], people["poor"], Script())
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_ScriptedPool(rig, bags).run)
                    yield rig
                    tasks.cancel_scope.cancel()


@contextmanager
def running_rig(home: Path, *, settles_bags: bool = False) -> Iterator[tuple[Rig, BlockingPortal]]:
    """Run a market in a thread of its own; answers it with the portal to its loop."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(open_rig(home, settles_bags=settles_bags)) as rig:
        yield rig, portal


async def _endow(chain: Chain, founder: KeySigner, people: Mapping[str, KeySigner]) -> None:
    purse = Sender(chain, founder)
    for name, person in people.items():
        await purse.send(Call(person.address, b"", "gas money", value=Wei(100 * 10**18)))
        amount = NRLC(NRLC_PER_RLC // 100 if name == "poor" else 100 * NRLC_PER_RLC)
        await purse.send(calls.transfer(chain.token_address, person.address, amount))
        if name not in ("requester", "poor"):
            await Sender(chain, person).send(calls.approve_and_call(chain.token_address, chain.hub_address, amount))


async def _found_pool(chain: Chain, scheduler: KeySigner) -> Address:
    await Sender(chain, scheduler).send(calls.create_workerpool(chain.workerpool_registry, scheduler.address, POOL_NAME))
    return await chain.registries.predict_workerpool(scheduler.address, POOL_NAME)


def _pool_app(chain: Chain, workerpool: Address, scheduler: KeySigner, crew: Sequence[KeySigner], bags: BagBoard | None) -> Litestar:
    @get("/v1/pool")
    async def pool() -> PoolView:
        scores = await chain.hub.scores([worker.address for worker in crew])
        workers = tuple(
            WorkerView(worker=worker.address, name=f"worker-{n}", online=True, slots=1, busy=0, score=score, last_seen=UnixSeconds(0))
            for n, (worker, score) in enumerate(zip(crew, scores, strict=True), 1)
        )
        return PoolView(
            workerpool=workerpool,
            scheduler=scheduler.address,
            hub=chain.hub_address,
            chain_id=chain.chain_id,
            storage_url="",
            version="test",
            workers=workers,
            settles_bags=bags is not None,
        )

    return Litestar([pool, *([] if bags is None else [bags.route()])], openapi_config=None)


class _ScriptedPool:
    """Runs every deal of the pool, one task after another."""

    def __init__(self, rig: Rig, bags: BagBoard) -> None:
        self._rig = rig
        self._bags = bags
        self._scheduler = Sender(rig.chain, rig.scheduler)
        self._senders = [Sender(rig.chain, worker) for worker in rig.workers]

    async def run(self) -> None:
        """Follow the chain for deals."""
        async with anyio.create_task_group() as tasks:
            async for blocks in follow(self._rig.chain, await self._rig.chain.block_number()):
                for logged in blocks.events:
                    if isinstance(logged.event, SchedulerNotice) and logged.event.workerpool == self._rig.network.workerpool:
                        await self._run_deal(logged.event.deal_id, tasks)

    async def _run_deal(self, deal_id: DealId, tasks: TaskGroup) -> None:
        deal = await self._rig.chain.hub.deal(deal_id)
        params = parse_params(deal.params)
        if params.voisin_bag:
            entries = list(decode_bag(await self._rig.storage.get_bytes(params.voisin_bag, max_bytes=1 << 20)).tasks)  # type: ignore[arg-type]
        else:
            entries = [BagEntry(split_args(params.iexec_args), params.voisin_inputs)] * (deal.bot_first + deal.bot_size)
        indexes = range(deal.bot_first, deal.bot_first + deal.bot_size)
        if params.voisin_window:
            script = self._rig.script
            made = {index: None if entries[index].args[:1] == ("idle",) else await self._archive(entries[index]) for index in indexes}
            pool = BagPool(self._rig.chain, self._rig.storage, self._scheduler, self._rig.workers, script.bag, self._bags)
            tasks.start_soon(pool.run, deal_id, deal, made)
            return
        for index in indexes:
            await self._run_task(deal_id, index, entries[index])

    async def _archive(self, entry: BagEntry) -> bytes:
        return pack_files(await self._files(entry, fails=entry.args[:1] == ("fail",)))

    async def _run_task(self, deal_id: DealId, index: int, entry: BagEntry) -> None:
        script, word = self._rig.script, entry.args[0] if entry.args else ""
        if word in script.idle:
            return
        hub = self._rig.chain.hub_address
        task = task_id(deal_id, index)
        await self._scheduler.send(calls.initialize(hub, deal_id, index))
        files = await self._files(entry, fails=word in script.failures)
        archive = pack_files(files)
        digest = open_archive(archive).digest()
        crew = list(self._senders)
        if word in script.liars:
            await self._contribute(crew.pop(0), task, Hash32(to_hex(sha256(b"a lie"))))
        agreed = []
        while crew and (await self._rig.chain.hub.task(task)).status is TaskStatus.ACTIVE:
            agreed.append(crew.pop())
            await self._contribute(agreed[-1], task, digest)
        for worker in agreed:
            await worker.send(calls.reveal(hub, task, digest))
        stored = pack_files({"out.txt": b"forged"}) if word in script.forgeries else archive
        if word in script.sealed:
            stored = sealed_for(stored, script.reader_key, task)
        cid = await self._rig.storage.put_bytes(stored)
        await self._scheduler.send(calls.finalize(hub, task, encode_link(cid)))

    async def _contribute(self, worker: Sender, task: TaskId, digest: Hash32) -> None:
        address = worker.address
        admission = Admission(sign_authorization(self._rig.scheduler, address, task))
        given = {"result_hash": result_hash(task, digest), "result_seal": result_seal(address, task, digest)}
        await worker.send(calls.contribute(self._rig.chain.hub_address, task, **given, admission=admission))

    async def _files(self, entry: BagEntry, *, fails: bool) -> dict[str, bytes]:
        if fails:
            return {"error.json": msgspec.json.encode(GuestFailure("exit-code", "7")), "stderr.txt": b"starting\nno such thing\n"}
        words = " ".join(entry.args)
        for name, cid in sorted(entry.inputs.items()):
            words += f" {name}={(await self._rig.storage.get_bytes(cid, max_bytes=1 << 20)).decode()}"  # type: ignore[arg-type]
        return {"out.txt": words.encode(), "stdout.txt": f"ran {words}\n".encode()}
