"""A vault over HTTP beside the real contracts: owners are asked on the chain, and secrets follow a real enclave deal."""

from __future__ import annotations

import io
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.chain_rig import SALT
from tests.support.vault_rig import Scene, open_scene
from voisin.chain import Admission, calls
from voisin.chain.devnet import development_keys
from voisin.client.keys import ReaderKeys
from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.params import DealParams
from voisin.protocol.results import result_hash, result_seal, sign_enclave
from voisin.protocol.sealed_result import open_sealed_result, seal_result
from voisin.protocol.secrets import RESULT_KEY, SecretKind, SecretRef, SecretValue
from voisin.protocol.sessions import (
    SealedSession,
    SessionKey,
)

pytestmark = pytest.mark.anyio

DIGEST = SALT


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
