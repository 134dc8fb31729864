"""A vault over HTTP beside the real contracts: owners are asked on the chain, and secrets follow a real enclave deal."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC, SALT, Rig, _entry, open_rig
from tests.support.vault_scene import fresh_nonce
from voisin.chain import Admission, calls
from voisin.chain.devnet import development_keys
from voisin.client.keys import ReaderKeys
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.api import Problem, error_of
from voisin.protocol.codec import decode, encode
from voisin.protocol.consent import CONSENT_HEADER, VaultId, give_consent, write_consent
from voisin.protocol.eip712 import sign_order
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import Address, TaskId, task_id
from voisin.protocol.orders import AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.records import DatasetInfo
from voisin.protocol.results import result_hash, result_seal, sign_authorization, sign_enclave
from voisin.protocol.sealed_result import open_sealed_result, seal_result
from voisin.protocol.secrets import RESULT_KEY, SecretKind, SecretRef, SecretValue
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    SealedSession,
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

pytestmark = pytest.mark.anyio

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

    async def deal(self, params: DealParams) -> TaskId:
        """Match the orders of an enclave deal, and open its task."""
        rig, domain = self.rig, self.rig.chain.domain
        request = RequestOrder(
            app=self.app, appmaxprice=APP_PRICE, dataset=self.dataset, datasetmaxprice=NRLC(RLC), workerpool=self.pool,
            workerpoolmaxprice=POOL_PRICE, requester=rig.requester.address, volume=1, tag=TAG, category=0, trust=1,
            beneficiary=rig.stranger.address, params=encode_params(params), salt=fresh_nonce(),
        )  # fmt: skip
        app = sign_order(AppOrder(app=self.app, appprice=APP_PRICE, volume=9, tag=TAG, salt=SALT), domain, rig.app_owner)
        data = DatasetOrder(dataset=self.dataset, datasetprice=NRLC(RLC), volume=9, tag=TAG, salt=SALT)
        offer = WorkerpoolOrder(
            workerpool=self.pool, workerpoolprice=POOL_PRICE, volume=9, tag=TAG, category=0, trust=1, salt=SALT
        )  # fmt: skip
        signed = (app, sign_order(data, domain, self.dataset_owner), sign_order(offer, domain, rig.scheduler))
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


@pytest.fixture
async def scene(tmp_path: Path, new_database: object) -> AsyncIterator[Scene]:
    (tmp_path / "data").mkdir()
    made = new_database()  # type: ignore[operator]
    url = made if made.startswith("postgresql") else f"sqlite:///{tmp_path}/data/vault.sqlite"
    async with open_scene(tmp_path, url) as opened:
        yield opened


async def test_secrets_of_a_deal_reach_its_enclave_which_earns(scene: Scene, tmp_path: Path) -> None:
    rig, desk = scene.rig, scene.desk
    keys = ReaderKeys(tmp_path / "reader")
    reader = rig.stranger
    token = SecretRef(SecretKind.REQUESTER, rig.requester.address, "token")
    await desk.push(rig.requester, token, SecretValue("the token"))
    await desk.push(rig.app_owner, SecretRef(SecretKind.APP, scene.app), SecretValue("the app's"))
    await desk.push(reader, SecretRef(SecretKind.NAMED, reader.address, RESULT_KEY), SecretValue(keys.create(reader.address)))
    task = await scene.deal(DealParams(iexec_secrets={"1": "token"}, iexec_result_encryption=True))
    challenge, key = await scene.challenge(task), SessionKey(secrets.token_bytes)

    with pytest.raises(StateError, match="needs the dataset secret of"):
        await scene.post("/v1/sessions", content=encode(await scene.request(task, challenge, key)))
    await desk.push(scene.dataset_owner, SecretRef(SecretKind.DATASET, scene.dataset), SecretValue("the dataset's"))

    request = await scene.request(task, challenge, key)
    sealed = decode(await scene.post("/v1/sessions", content=encode(request)), SealedSession, "the session")
    found = key.open(sealed, request, await scene.vault())
    assert (found.dataset_key, found.app_secret, found.requester_secrets) == ("the dataset's", "the app's", {"1": "the token"})
    sealed_result = io.BytesIO()
    seal_result(io.BytesIO(b"PK result"), sealed_result, found.beneficiary_key, task, secrets.token_bytes)
    assert open_sealed_result(sealed_result.getvalue(), keys.private(reader.address)[0], task) == b"PK result"

    worker, hub = rig.workers[0], rig.chain.hub_address
    seal, commitment = result_seal(worker.address, task, DIGEST), result_hash(task, DIGEST)
    admission = Admission(request.authorization, challenge, sign_enclave(found.challenge_signer(), worker.address, task, DIGEST))
    await rig.send(worker, calls.contribute(hub, task, result_hash=commitment, result_seal=seal, admission=admission))

    uses = [use async for use in desk.uses(scene.dataset_owner)]
    assert [(use.kind, use.task_id, use.worker) for use in uses] == [(SecretKind.DATASET, task, worker.address)]
    with pytest.raises(StateError, match="takes no contributions any more"):
        await scene.post("/v1/sessions", content=encode(await scene.request(task, challenge, key)))


async def test_owners_are_asked_on_the_chain(scene: Scene) -> None:
    rig, desk = scene.rig, scene.desk
    dataset, app = SecretRef(SecretKind.DATASET, scene.dataset), SecretRef(SecretKind.APP, scene.app)
    for ref, owner, stranger in ((dataset, scene.dataset_owner, rig.app_owner), (app, rig.app_owner, scene.dataset_owner)):
        with pytest.raises(TrustError, match="may not do that"):
            await desk.push(stranger, ref, SecretValue("x"))
        assert await desk.find(ref) is None
        entry = await desk.push(owner, ref, SecretValue("x"))
        assert await desk.find(ref) == entry
        with pytest.raises(InputError, match="already"):
            await desk.push(owner, ref, SecretValue("y"))
    confused = SecretRef(SecretKind.DATASET, scene.app)
    with pytest.raises(TrustError, match="there is no dataset at"):
        await desk.push(rig.app_owner, confused, SecretValue("x"))
    assert [entry.holder for entry in await desk.entries(rig.app_owner)] == [scene.app]
    await desk.delete(scene.dataset_owner, dataset)
    assert await desk.find(dataset) is None


async def test_stolen_request_and_foreign_chain(scene: Scene) -> None:
    task = await scene.deal(DealParams())
    await scene.desk.push(scene.dataset_owner, SecretRef(SecretKind.DATASET, scene.dataset), SecretValue("k"))
    challenge, key = await scene.challenge(task), SessionKey(secrets.token_bytes)
    request = await scene.request(task, challenge, key)
    thief = msgspec.structs.replace(request.consent, signer=development_keys(9)[8].address)
    with pytest.raises(TrustError):
        await scene.post("/v1/sessions", content=encode(msgspec.structs.replace(request, consent=thief)))
    await scene.post("/v1/sessions", content=encode(request))
    with pytest.raises(StateError, match="was used before"):
        await scene.post("/v1/sessions", content=encode(request))
