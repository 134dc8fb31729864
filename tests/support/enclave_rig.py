"""Tasks in enclaves among real parts: embedded chain, storage, vault, pool, and workers whose enclaves are processes."""

from __future__ import annotations

import base64
import io
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from Crypto.PublicKey import RSA

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC
from tests.support.pool_rig import DEADLINE_S, POLL_S
from tests.support.worker_rig import WorkerRig, open_worker_rig
from voisin.chain import calls
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.client.vault_terms import TermsDesk, push_shared
from voisin.pool import Pool, PoolSettings, open_pool
from voisin.pool.heart.records import ENDS
from voisin.pool.wire.views import UnknownError, task_view
from voisin.protocol.api import PoolTaskView
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.cid import Cid, digest_of
from voisin.protocol.consent import VaultId, give_consent
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Keeper, Review
from voisin.protocol.datasets import encrypt_dataset, new_dataset_key
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import EntryTransferred, OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, task_id, to_hex
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder, no_dataset_order
from voisin.protocol.records import DatasetInfo
from voisin.protocol.release_rules import ReleaseRule
from voisin.protocol.sealing import open_sealed
from voisin.protocol.secrets import PUSH_ACT, RESULT_KEY, SecretKind, SecretRef, SecretValue, push_lines
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import Tag, as_tag
from voisin.protocol.vault_terms import TermsPush
from voisin.service.serving import serve_app
from voisin.units import NRLC, UnixSeconds
from voisin.vault import Vault, VaultSettings, create_key_file, open_vault
from voisin.worker import News
from voisin.worker.run import open_worker
from voisin.worker.service import Worker

TEE = as_tag("tee,tdx")
SIMULATED = as_tag("tee,tdx,simulated")
DATA_PRICE = NRLC(RLC)


@dataclass
class EnclaveRig:
    """
    A market with a vault and a pool.

    Attributes:
        parts: The chain with its people, and the storage.
        vault: The vault.
        vault_url: Its address.
        pool: The pool.
        pool_url: Its address.
        news: What the workers said.
    """

    parts: WorkerRig
    vault: Vault
    vault_url: str
    pool: Pool
    pool_url: str
    news: list[News] = field(default_factory=list)
    made: int = 0

    @property
    def requester(self) -> KeySigner:
        """Who pays."""
        return self.parts.rig.requester

    async def push(self, owner: KeySigner, kind: SecretKind, holder: Address, value: str, name: str = "") -> None:
        """Keep a secret in the vault."""
        view, ref = self.vault.service.view(), SecretRef(kind, holder, name)
        vault = VaultId(vault=view.vault, chain_id=view.chain_id, hub=view.hub)
        given = SecretValue(value)
        nonce, until = Hash32(to_hex(secrets.token_bytes(32))), UnixSeconds(int(time.time()) + 60)
        consent = give_consent(owner, vault, PUSH_ACT, push_lines(ref, given), nonce=nonce, until=until)
        await self.vault.service.safe.push(ref, given, consent)

    async def reader(self) -> str:
        """Give the requester a key for results; answers the private half in PEM."""
        key = RSA.generate(2048)
        pem = key.public_key().export_key().decode()
        value = base64.b64encode(pem.encode()).decode()
        await self.push(self.requester, SecretKind.NAMED, self.requester.address, value, RESULT_KEY)
        return key.export_key().decode()

    async def dataset(self, content: bytes, *, key: str | None = None) -> Address:
        """Enter a dataset of the app owner, encrypted, with its key (or another) in the vault."""
        entry, made = await self.enter(content)
        await self.push(self.parts.rig.app_owner, SecretKind.DATASET, entry, key or made)
        return entry

    async def enter(self, content: bytes) -> tuple[Address, str]:
        """Enter a dataset of the app owner, encrypted; answers its entry and its key."""
        made, rig = new_dataset_key(secrets.token_bytes), self.parts.rig
        encrypted = io.BytesIO()
        encrypt_dataset(io.BytesIO(content), encrypted, made, secrets.token_bytes)
        cid = await self.parts.storage.put_bytes(encrypted.getvalue())
        info = DatasetInfo(
            owner=rig.app_owner.address, name="data", multiaddr=f"/ipfs/{cid}".encode(), checksum=Hash32(to_hex(digest_of(cid)))
        )
        receipt = await rig.send(rig.app_owner, calls.create_dataset(rig.chain.dataset_registry, info))
        return next(each.event.entry for each in receipt.events if isinstance(each.event, EntryTransferred)), made

    async def protected(
        self,
        content: bytes,
        *,
        others: Sequence[str] = (),
        threshold: int = 0,
        rule: Callable[[Address], ReleaseRule] | None = None,
        **conditions: Any,
    ) -> DatasetOrder:
        """
        Put a dataset under terms of use, and its key into the vault, or into several that share it; answers the order.

        Args:
            content: The dataset.
            others: Addresses of the other vaults.
            threshold: How many of all vaults give the key.
            rule: Makes the rule of release for the dataset; None for none.
            conditions: What the terms say beside allowing simulated enclaves.
        """
        (entry, key), rig = await self.enter(content), self.parts.rig
        async with AsyncExitStack() as stack:
            urls = [self.vault_url, *others]
            desks = [VaultDesk(await stack.enter_async_context(Service("vault", url)), time.time) for url in urls]
            if others:
                keepers = [Keeper(vault=(await desk.vault_id()).vault, url=url) for desk, url in zip(desks, urls, strict=True)]
                conditions |= {"keepers": tuple(keepers), "threshold": threshold}
            if rule is not None:
                conditions |= {"review": Review.RULE, "release_rule": rule(entry)}
            self.made += 1
            nonce = Hash32(f"0x{self.made:064x}")
            terms = DataTerms(dataset=entry, nonce=nonce, min_enclave=EnclaveLevel.SIMULATED, **conditions)
            order = DatasetOrder(dataset=entry, datasetprice=DATA_PRICE, volume=100, tag=TEE, salt=terms.id)
            signed = sign_order(order, rig.chain.domain, rig.app_owner)
            keeping = [TermsDesk(desk, rig.chain.domain) for desk in desks]
            if others:
                await push_shared(keeping, rig.app_owner, TermsPush(order=signed, terms=terms, key=key))
            else:
                await keeping[0].push(rig.app_owner, signed, terms, key=key)
            return signed

    def bulk_order(self, dataset: Address, **changes: Any) -> DatasetOrder:
        """Sign a dataset's order for lists, as the app owner, who owns all data here."""
        self.made += 1
        terms: dict[str, Any] = {"volume": 2**53 - 1, "tag": TEE, "salt": Hash32(f"0x{self.made:064x}"), **changes}
        order = DatasetOrder(dataset=dataset, datasetprice=NRLC(0), **terms)
        return sign_order(order, self.parts.rig.chain.domain, self.parts.rig.app_owner)

    async def deal(
        self,
        app: str,
        *,
        params: str = "",
        dataset: Address | DatasetOrder = ZERO_ADDRESS,
        trust: int = 1,
        tag: Tag = TEE,
        volume: int = 1,
    ) -> list[TaskId]:
        """
        Match a deal, as the protocol's own client would: app and request have the tag; answers its tasks.

        A dataset is offered for this deal, unless its owner's order is given.
        """
        self.made += 1
        entry, salt, rig = await self.parts.app(app), Hash32(f"0x{self.made:064x}"), self.parts.rig
        domain, me = rig.chain.domain, rig.requester.address
        terms: dict[str, Any] = {"volume": volume, "salt": salt}
        app_order = sign_order(AppOrder(app=entry, appprice=APP_PRICE, tag=tag, **terms), domain, rig.app_owner)
        pointer = dataset.dataset if isinstance(dataset, DatasetOrder) else dataset
        data_order = dataset if isinstance(dataset, DatasetOrder) else no_dataset_order()
        if pointer not in (ZERO_ADDRESS, data_order.dataset):
            offered = DatasetOrder(dataset=pointer, datasetprice=DATA_PRICE, tag=tag, **terms)
            data_order = sign_order(offered, domain, rig.app_owner)
        pool_order = WorkerpoolOrder(
            workerpool=self.parts.workerpool, workerpoolprice=POOL_PRICE, category=0, trust=trust, tag=SIMULATED, **terms
        )
        request = RequestOrder(
            app=entry, appmaxprice=APP_PRICE, dataset=pointer, datasetmaxprice=DATA_PRICE, workerpool=self.parts.workerpool,
            workerpoolmaxprice=POOL_PRICE, requester=me, beneficiary=me, category=0, trust=trust, tag=tag, params=params, **terms,
        )  # fmt: skip
        call = calls.match_orders(
            rig.chain.hub_address,
            app_order,
            data_order,
            sign_order(pool_order, domain, rig.scheduler),
            sign_order(request, domain, rig.requester),
        )
        receipt = await rig.send(rig.stranger, call)
        deal = next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))
        return [task_id(DealId(deal), index) for index in range(volume)]

    async def view(self, task: TaskId) -> PoolTaskView:
        """What the pool says of a task."""
        return await task_view(self.pool.service, task)

    async def ended(self, task: TaskId) -> PoolTaskView:
        """What the pool says of a task once it is over."""
        return await self.until(task, lambda view: view.phase in ENDS)

    async def until(self, task: TaskId, condition: Callable[[PoolTaskView], bool]) -> PoolTaskView:
        """What the pool says of a task once something is so; it may have to hear of the task first."""
        with anyio.fail_after(DEADLINE_S * 2):
            while True:
                with suppress(UnknownError):
                    view = await self.view(task)
                    if condition(view):
                        return view
                await anyio.sleep(POLL_S)

    async def result(self, task: TaskId, private_key: str = "") -> ResultArchive:
        """Fetch a result, open it with the beneficiary's key if there is one, and hold it against the chain."""
        view = await self.ended(task)
        data = await self.parts.storage.get_bytes(Cid(view.result), max_bytes=1 << 26)
        archive = open_archive(open_sealed(data, private_key) if private_key else data)
        archive.require_digest((await self.parts.rig.chain.hub.task(task)).result_digest, has_callback=False)
        return archive

    @asynccontextmanager
    async def worker(self, name: str = "worker", **changes: Any) -> AsyncIterator[Worker]:
        """Have a worker with a fresh wallet work meanwhile."""
        wallet = await self.parts.hire()
        settings = self.parts.settings(self.pool_url, name, **{"allow_simulated": True, **changes})
        async with open_worker(settings, wallet, on_event=self.news.append) as worker, anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            yield worker
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def another_vault(rig: EnclaveRig, folder: Path) -> AsyncIterator[str]:
    """Run a further vault on the same chain; gives its address."""
    await anyio.to_thread.run_sync(lambda: (folder / "records").mkdir(parents=True))
    create_key_file(folder / "keys" / "vault.key")
    settings = VaultSettings(
        database_url=f"sqlite:///{folder}/records/vault.db",
        key_file=folder / "keys" / "vault.key",
        rpc_url=rig.parts.rig.node.rpc_url,
        hub=rig.parts.rig.chain.hub_address,
        allow_simulated=True,
    )
    async with open_vault(settings) as vault, serve_app(vault.app) as url:
        yield url


@asynccontextmanager
async def open_enclave_rig(folder: Path, **changes: object) -> AsyncIterator[EnclaveRig]:
    """Start everything but workers."""
    async with open_worker_rig(folder) as parts, AsyncExitStack() as stack:
        rpc_url, hub, block = parts.rig.node.rpc_url, parts.rig.chain.hub_address, parts.rig.deployment.block
        for name in ("keys", "vault"):
            (folder / name).mkdir()
        create_key_file(folder / "keys" / "vault.key")
        vault_settings = VaultSettings(
            database_url=f"sqlite:///{folder}/vault/vault.db",
            key_file=folder / "keys" / "vault.key",
            rpc_url=rpc_url,
            hub=hub,
            allow_simulated=True,
        )
        vault = await stack.enter_async_context(open_vault(vault_settings))
        vault_url = await stack.enter_async_context(serve_app(vault.app))
        fields: dict[str, object] = {
            "database_url": f"sqlite:///{folder}/pool.sqlite",
            "rpc_url": rpc_url,
            "hub": hub,
            "start_block": block,
            "workerpool": parts.workerpool,
            "storage_url": parts.storage_url,
            "vault_url": vault_url,
            "allow_simulated": True,
            "price": POOL_PRICE,
            "tick_s": 0.05,
            "step_pause_s": 0.05,
            "retry_pause_s": 0.1,
        }
        settings = PoolSettings(**{**fields, **changes})
        pool = await stack.enter_async_context(open_pool(settings, parts.rig.scheduler))
        url = await stack.enter_async_context(serve_app(pool.app, max_message_bytes=settings.max_message_bytes))
        yield EnclaveRig(parts, vault, vault_url, pool, url)
