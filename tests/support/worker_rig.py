"""Workers among real parts: embedded chain with contracts, storage, real WebAssembly apps; in this process, or in their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, Rig
from tests.support.chain_rig import open_rig as open_chain_rig
from tests.support.guests import ROOT, guest
from tests.support.scripted_pool import ScriptedPool
from voisin.chain import Sender, calls
from voisin.chain.keystore import create_keystore
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.cid import Cid, digest_of
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, from_hex, task_id, to_hex
from voisin.protocol.orders import AppOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.records import AppInfo, Contribution
from voisin.protocol.results import encode_link, sha256
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire import AskUpload, Uploaded
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, StorageClient, create_storage_app
from voisin.units import Wei
from voisin.worker import WorkerSettings

PASSWORD = "a password for tests"


@dataclass
class WorkerProcess:
    """A worker in a process of its own."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT
            )

    async def end(self, how: signal.Signals) -> int:
        """Send it a signal and wait for its end; answers its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return await self.wait()

    async def wait(self) -> int:
        """Wait for its end; answers its exit code."""
        assert self.process is not None
        code = await anyio.to_thread.run_sync(self.process.wait)
        self.process = None
        return code

    @property
    def said(self) -> str:
        """Everything it has written."""
        return self.log.read_text()


@dataclass
class WorkerRig:
    """
    A market without a pool: the test is the scheduler.

    Attributes:
        rig: The chain and its people.
        folder: Where workers live.
        storage: Where apps, inputs and results lie.
        storage_url: Its address.
        workerpool: The scheduler's workerpool.
    """

    rig: Rig
    folder: Path
    storage: StorageClient
    storage_url: str
    workerpool: Address
    apps: dict[str, Address] = field(default_factory=dict)
    made: int = 0
    processes: list[WorkerProcess] = field(default_factory=list)

    def pool(self) -> ScriptedPool:
        """Make a pool that does what the test says; open it."""
        chain = self.rig.chain
        return ScriptedPool(self.rig.scheduler, self.workerpool, chain.hub_address, chain.chain_id, storage_url=self.storage_url)

    async def app(self, name: str) -> Address:
        """Enter an app with a module of the tests' guests or of the sample apps."""
        if name not in self.apps:
            cid = await self.storage.put_file(guest(name))
            info = AppInfo(
                owner=self.rig.app_owner.address,
                name=name,
                type="WASM",
                multiaddr=f"/ipfs/{cid}".encode(),
                checksum=Hash32(to_hex(digest_of(cid))),
                mrenclave=b"",
            )
            receipt = await self.rig.send(self.rig.app_owner, calls.create_app(self.rig.chain.app_registry, info))
            self.apps[name] = next(each.event.entry for each in receipt.events if isinstance(each.event, EntryTransferred))
        return self.apps[name]

    async def deal(
        self, app: str, *, params: str = "", volume: int = 1, trust: int = 1, initialize: bool = True, callback: Address = ZERO_ADDRESS
    ) -> DealId:
        """Match a fresh deal, and open its tasks."""
        self.made += 1
        entry, salt, domain, rig = await self.app(app), Hash32(f"0x{self.made:064x}"), self.rig.chain.domain, self.rig
        terms: dict[str, Any] = {"volume": volume, "category": 0, "trust": trust, "salt": salt}
        request = RequestOrder(
            app=entry, appmaxprice=APP_PRICE, workerpool=self.workerpool, workerpoolmaxprice=POOL_PRICE, callback=callback,
            requester=rig.requester.address, beneficiary=rig.requester.address, params=params, **terms,
        )  # fmt: skip
        app_order = sign_order(AppOrder(app=entry, appprice=APP_PRICE, volume=volume, salt=salt), domain, rig.app_owner)
        pool_order = sign_order(WorkerpoolOrder(workerpool=self.workerpool, workerpoolprice=POOL_PRICE, **terms), domain, rig.scheduler)
        call = calls.match_orders(rig.chain.hub_address, app_order, None, pool_order, sign_order(request, domain, rig.requester))
        receipt = await rig.send(rig.stranger, call)
        deal = next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))
        if initialize:
            await rig.send(rig.scheduler, calls.initialize_array(rig.chain.hub_address, [(deal, index) for index in range(volume)]))
        return deal

    async def finish(self, pool: ScriptedPool, task: TaskId) -> ResultArchive:
        """As an honest scheduler: have a revealed task's result uploaded, and finalise it; answers the checked result."""
        await pool.say(AskUpload(task))
        uploaded = await pool.hear(Uploaded, task)
        deal = await self.rig.chain.hub.deal((await self.rig.chain.hub.task(task)).deal_id)
        has_callback = deal.callback != ZERO_ADDRESS
        callback = from_hex(uploaded.callback_data)
        hub = self.rig.chain.hub_address
        await self.rig.send(self.rig.scheduler, calls.finalize(hub, task, encode_link(uploaded.cid), callback if has_callback else b""))
        archive = open_archive(await self.storage.get_bytes(Cid(uploaded.cid), max_bytes=1 << 26))
        archive.require_digest((await self.rig.chain.hub.task(task)).result_digest, has_callback=has_callback)
        return archive

    async def hire(self) -> KeySigner:
        """A new worker's wallet, with gas money and 100 RLC in the hub."""
        self.made += 1
        wallet = KeySigner(sha256(f"worker {self.made} of {self.folder}".encode()))
        self.rig.senders[wallet.address] = Sender(self.rig.chain, wallet)
        await self.rig.send(self.rig.owner, calls.Call(wallet.address, b"", "gas money", value=Wei(10**18)))
        await self.rig.fund(wallet, 100 * RLC)
        return wallet

    async def contribution(self, task: TaskId, worker: KeySigner) -> Contribution:
        """What the chain knows of a worker's contribution."""
        return await self.rig.chain.hub.contribution(task, worker.address)

    # --- workers ---

    def settings(self, pool_url: str, name: str = "worker", **changes: Any) -> WorkerSettings:
        """What a worker is told."""
        told: dict[str, Any] = {
            "pool_url": pool_url,
            "rpc_url": self.rig.node.rpc_url,
            "folder": self.folder / name,
            "hub": self.rig.chain.hub_address,
            "name": name,
            "slots": 1,
            "watch_s": 0.3,
            "retry_s": 0.05,
            "max_retry_s": 0.5,
        }
        return WorkerSettings(**{**told, **changes})

    def process(self, wallet: KeySigner, pool_url: str, name: str = "worker", **changes: Any) -> WorkerProcess:
        """Make a worker process; start it."""
        keystore, password = self.files(wallet, name)
        settings = {key: value for key, value in self.settings(pool_url, name, **changes).model_dump().items() if value != ""}
        environment = {f"VOISIN_WORKER_{key.upper()}": str(value) for key, value in settings.items()}
        environment |= {"VOISIN_WORKER_KEYSTORE": str(keystore), "VOISIN_WORKER_PASSWORD_FILE": str(password)}
        return self._employ([sys.executable, "-m", "voisin.worker"], environment, name)

    def rogue(self, mode: str, wallet: KeySigner, pool_url: str, name: str = "rogue") -> WorkerProcess:
        """Make a process of a worker that misbehaves; start it."""
        keystore, password = self.files(wallet, name)
        command = [sys.executable, "-m", "tests.support.rogue_worker", "--mode", mode, "--name", f"{mode}-worker", "--pool-url", pool_url]
        command += ["--rpc-url", self.rig.node.rpc_url, "--hub", self.rig.chain.hub_address, "--folder", str(self.folder / name)]
        command += ["--keystore", str(keystore), "--password-file", str(password)]
        return self._employ(command, {}, name)

    def files(self, wallet: KeySigner, name: str) -> tuple[Path, Path]:
        """Write a wallet's keystore and password file."""
        keystore, password = self.folder / f"{name}.json", self.folder / "password"
        if not keystore.exists():
            create_keystore(keystore, PASSWORD, key=wallet.expose_key(), strength="light")
        password.write_text(f"{PASSWORD}\n")
        return keystore, password

    def _employ(self, command: list[str], environment: dict[str, str], name: str) -> WorkerProcess:
        process = WorkerProcess(command, environment, self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    async def dismiss(self) -> None:
        """Kill every process that is still there."""
        for process in self.processes:
            if process.process is not None:
                await process.end(signal.SIGKILL)


@asynccontextmanager
async def open_worker_rig(folder: Path) -> AsyncIterator[WorkerRig]:
    """Start chain, contracts and storage, with money for everybody."""
    async with open_chain_rig() as rig, serve_app(create_storage_app(BlobStore(folder / "blobs"))) as url, StorageClient(url) as storage:
        for person in (rig.requester, rig.scheduler):
            await rig.fund(person, 10_000 * RLC)
        workerpool = await rig.create_pool()
        made = WorkerRig(rig, folder, storage, url, workerpool)
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await made.dismiss()


def tasks_of(deal: DealId, volume: int = 1) -> list[TaskId]:
    """The tasks of a deal."""
    return [task_id(deal, index) for index in range(volume)]
