"""A task's secrets reach its enclave, over the vault's own wire, with everything in memory."""

from __future__ import annotations

import secrets

import httpx
import pytest

from tests.support.vault_scene import APP_SECRET, DATASET_KEY, Scene, make_scene
from voisin.protocol.codec import decode, encode
from voisin.protocol.consent import CONSENT_HEADER, write_consent
from voisin.protocol.params import DealParams
from voisin.protocol.secrets import PUSH_ACT, SecretKind, SecretRef, SecretValue, push_lines
from voisin.protocol.sessions import CHALLENGE_ACT, SealedSession, SessionKey, TaskChallenge, challenge_lines
from voisin.protocol.signatures import KeySigner
from voisin.vault.api import create_app

pytestmark = pytest.mark.anyio


async def _push(scene: Scene, owner: KeySigner, ref: SecretRef, text: str) -> None:
    value = SecretValue(text)
    await scene.vault.safe.push(ref, value, scene.consent(owner, PUSH_ACT, push_lines(ref, value)))


async def test_secrets_reach_the_enclave() -> None:
    scene = await make_scene()
    await _push(scene, scene.dataset_owner, DATASET_KEY, "the dataset's key")
    await _push(scene, scene.app_owner, APP_SECRET, "the app's")
    await _push(scene, scene.requester, SecretRef(SecretKind.REQUESTER, scene.requester.address, "my-token"), "the requester's")
    task = scene.deal(params=DealParams(iexec_secrets={"7": "my-token"}))
    key = SessionKey(secrets.token_bytes)
    transport = httpx.ASGITransport(create_app(scene.vault))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://vault") as http:
        consent = scene.consent(scene.scheduler, CHALLENGE_ACT, challenge_lines(task))
        answer = await http.post(f"/v1/tasks/{task}/challenge", headers={CONSENT_HEADER: write_consent(consent)})
        assert answer.status_code == 200, answer.text
        challenge = decode(answer.content, TaskChallenge, "the challenge").challenge
        request = scene.request(task, challenge, key)
        answer = await http.post("/v1/sessions", content=encode(request))
        assert answer.status_code == 200, answer.text
    found = key.open(decode(answer.content, SealedSession, "the session"), request, scene.vault.id)
    assert found.challenge_signer().address == challenge
    assert found.dataset_key == "the dataset's key"
    assert found.beneficiary_key == ""
    assert found.environment() == {
        "IEXEC_APP_DEVELOPER_SECRET": "the app's",
        "IEXEC_APP_DEVELOPER_SECRET_1": "the app's",
        "IEXEC_REQUESTER_SECRET_7": "the requester's",
    }
    assert "key" not in repr(found).replace("challenge_key", "").replace("dataset_key", "")
