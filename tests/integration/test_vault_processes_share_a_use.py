"""Two vault processes on one database, beside the real contracts: very many workers ask both at once for one use, and one gets it."""

from __future__ import annotations

import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from tests.integration.test_vault_process import Process
from tests.support.vault_rig import Scene, open_scene
from tests.support.vault_scene import fresh_nonce, wallet
from voisin.client.vault_terms import TermsDesk
from voisin.protocol.codec import encode
from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.ids import TaskId
from voisin.protocol.params import DealParams
from voisin.protocol.results import sign_authorization
from voisin.protocol.sessions import SessionKey, SessionRequest, SessionWish, request_session
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

AT_ONCE = 100
KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


async def requests(scene: Scene, task: TaskId) -> list[SessionRequest]:
    """Sign requests of many workers, all of them sent by the scheduler."""
    challenge, vault, made = await scene.challenge(task), await scene.vault(), []
    for number in range(AT_ONCE):
        worker, key = wallet(f"worker {number}"), SessionKey(secrets.token_bytes)
        authorization = sign_authorization(scene.rig.scheduler, worker.address, task, challenge)
        wish = SessionWish(task_id=task, enclave=challenge, session_key=key.public, authorization=authorization)
        until = UnixSeconds(int(time.time()) + 240)
        made.append(request_session(worker, vault, wish, nonce=fresh_nonce(), until=until))
    return made


async def test_one_use_is_one_use_over_two_processes(tmp_path: Path, new_database: Callable[[], str]) -> None:
    (tmp_path / "data").mkdir()
    made = new_database()
    url = made if made.startswith("postgresql") else f"sqlite:///{tmp_path}/data/vault.sqlite"
    async with open_scene(tmp_path, url) as scene:
        settings = {
            "DATABASE_URL": url,
            "KEY_FILE": str(tmp_path / "keys" / "vault.key"),
            "RPC_URL": scene.rig.node.rpc_url,
            "HUB": scene.rig.chain.hub_address,
            "PORT": "0",
            "ALLOW_SIMULATED": "true",
        }
        beside = Process(os.environ | {f"VOISIN_VAULT_{name}": value for name, value in settings.items()})
        other = await beside.start()
        try:
            terms = DataTerms(dataset=scene.dataset, nonce=fresh_nonce(), min_enclave=EnclaveLevel.SIMULATED, uses=1)
            desk, order = TermsDesk(scene.desk, scene.rig.chain.domain), scene.data_order(salt=terms.id)
            await desk.push(scene.dataset_owner, order, terms, key=KEY)
            task = await scene.deal(DealParams(), order=order)
            got: Counter[tuple[int, bool]] = Counter()

            async def ask(url: str, request: SessionRequest) -> None:
                async with httpx.AsyncClient(base_url=url, timeout=120) as http:
                    answer = await http.post("/v1/sessions", content=encode(request))
                got[answer.status_code, "another enclave got the keys" in answer.text] += 1

            async with anyio.create_task_group() as tasks:
                for number, request in enumerate(await requests(scene, task)):
                    tasks.start_soon(ask, (scene.url, other)[number % 2], request)
            assert got == {(200, False): 1, (403, True): AT_ONCE - 1}
            assert len([use async for use in desk.uses(scene.dataset_owner, scene.dataset)]) == 1
        finally:
            await beside.end(signal.SIGTERM)
