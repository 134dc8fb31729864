"""A vault over HTTP beside the real contracts, with an app, a dataset and a pool, and those who deal with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, SALT, Rig, _entry, open_rig
from tests.support.vault_scene import fresh_nonce
from voisin.chain import calls
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.protocol.api import Problem, error_of
from voisin.protocol.codec import decode
from voisin.protocol.consent import CONSENT_HEADER, VaultId, give_consent, write_consent
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import Address, TaskId, task_id
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.records import DatasetInfo
from voisin.protocol.results import sign_authorization
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    SessionKey,
    SessionRequest,
    SessionWish,
    TaskChallenge,
    challenge_lines,
    request_session,
)
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import as_tag
from voisin.service.serving import serve_app
from voisin.units import NRLC, UnixSeconds
from voisin.vault import VaultSettings, create_key_file, open_vault

TAG = as_tag("tee,tdx")
DIGEST = SALT


@dataclass
class Scene:
    """A chain with a vault beside it, an app, a dataset and a pool."""

    rig: Rig
    url: str
    desk: VaultDesk
    app: Address
    dataset: Address
    pool: Address
    dataset_owner: KeySigner

    def data_order(self, **changes: object) -> DatasetOrder:
        """Sign an order of the dataset, with changes."""
        order = DatasetOrder(dataset=self.dataset, datasetprice=NRLC(RLC), volume=9, tag=TAG, salt=SALT)
        return sign_order(msgspec.structs.replace(order, **changes), self.rig.chain.domain, self.dataset_owner)

    async def deal(self, params: DealParams, *, order: DatasetOrder | None = None) -> TaskId:
        """Match the orders of an enclave deal of one task, and open it."""
        rig, domain = self.rig, self.rig.chain.domain
        request = RequestOrder(
            app=self.app, appmaxprice=APP_PRICE, dataset=self.dataset, datasetmaxprice=NRLC(RLC), workerpool=self.pool,
            workerpoolmaxprice=POOL_PRICE, requester=rig.requester.address, volume=1, tag=TAG, category=0, trust=1,
            beneficiary=rig.stranger.address, params=encode_params(params), salt=fresh_nonce(),
        )  # fmt: skip
        app = sign_order(AppOrder(app=self.app, appprice=APP_PRICE, volume=9, tag=TAG, salt=SALT), domain, rig.app_owner)
        offer = WorkerpoolOrder(
            workerpool=self.pool, workerpoolprice=POOL_PRICE, volume=9, tag=TAG, category=0, trust=1, salt=SALT
        )  # fmt: skip
        signed = (app, order or self.data_order(), sign_order(offer, domain, rig.scheduler))
        call = calls.match_orders(rig.chain.hub_address, *signed, sign_order(request, domain, rig.requester))
        receipt = await rig.send(rig.requester, call)
        deal = next(logged.event.deal_id for logged in receipt.events if isinstance(logged.event, OrdersMatched))
        await rig.send(rig.stranger, calls.initialize(rig.chain.hub_address, deal, 0))
        return task_id(deal, 0)

    async def vault(self) -> VaultId:
        view = await self.desk.view()
        return VaultId(vault=view.vault, chain_id=view.chain_id, hub=view.hub)

    async def challenge(self, task: TaskId) -> Address:
        """Ask for a task's challenge as a pool does."""
        about, until = challenge_lines(task), UnixSeconds(int(time.time()) + 60)
        consent = give_consent(self.rig.scheduler, await self.vault(), CHALLENGE_ACT, about, nonce=fresh_nonce(), until=until)
        answer = await self.post(f"/v1/tasks/{task}/challenge", headers={CONSENT_HEADER: write_consent(consent)})
        return decode(answer, TaskChallenge, "the challenge").challenge

    async def request(self, task: TaskId, challenge: Address, key: SessionKey) -> SessionRequest:
        """Sign a request for a session as a worker does."""
        worker = self.rig.workers[0]
        authorization = sign_authorization(self.rig.scheduler, worker.address, task, challenge)
        wish = SessionWish(task_id=task, enclave=challenge, session_key=key.public, authorization=authorization)
        return request_session(worker, await self.vault(), wish, nonce=fresh_nonce(), until=UnixSeconds(int(time.time()) + 60))

    async def post(self, path: str, *, content: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
        """Post something, and raise what the vault refuses."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            answer = await http.post(path, content=content, headers=headers)
        if not answer.is_success:
            raise error_of(decode(answer.content, Problem, "the problem"))
        return answer.content


@asynccontextmanager
async def open_scene(folder: Path, database_url: str) -> AsyncIterator[Scene]:
    create_key_file(folder / "keys" / "vault.key")
    async with open_rig() as rig:
        settings = VaultSettings(
            database_url=database_url,
            key_file=folder / "keys" / "vault.key",
            rpc_url=rig.node.rpc_url,
            hub=rig.chain.hub_address,
            allow_simulated=True,
        )
        async with open_vault(settings) as vault, serve_app(vault.app) as url, Service("vault", url) as service:
            owner = rig.workers[4]
            await rig.fund(rig.requester, 1000 * RLC)
            await rig.fund(rig.scheduler, 1000 * RLC)
            await rig.fund(rig.workers[0], 100 * RLC)
            info = DatasetInfo(owner=owner.address, name="data", multiaddr=b"/ipfs/x", checksum=SALT)
            dataset = _entry(await rig.send(owner, calls.create_dataset(rig.chain.dataset_registry, info)))
            yield Scene(rig, url, VaultDesk(service, time.time), await rig.create_app(), dataset, await rig.create_pool(), owner)
