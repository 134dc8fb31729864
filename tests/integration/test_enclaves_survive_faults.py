"""Killed enclaves and workers, and workers that cheat: the task still ends, and nobody gets what is not theirs."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest

from tests.support.enclave_rig import EnclaveRig, open_enclave_rig
from tests.support.listening_enclave import children_of, enclave_at_work
from tests.support.pool_rig import DEADLINE_S, POLL_S
from voisin.chain import Admission
from voisin.errors import TrustError, VoisinError
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.results import sign_authorization
from voisin.protocol.sessions import SessionKey, SessionWish
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire_words import MachineFailure
from voisin.service.vaults import HttpVault
from voisin.worker import Parts
from voisin.worker.ledger import ChainLedger
from voisin.worker.run import open_worker
from voisin.worker.vocabulary import Failed

pytestmark = pytest.mark.anyio

SLOW = '{"voisin_limits": {"instructions": 6000000000}}'
"""For the app that never ends: it takes some seconds until it has used them."""


def is_running(pid: int) -> bool:
    """Whether a process is there and not merely waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pid: int) -> None:
    """Wait until a process has ended."""
    with anyio.fail_after(DEADLINE_S):
        while True:
            if not is_running(pid):
                return
            await anyio.sleep(POLL_S)


async def ends_as_it_should(rig: EnclaveRig, task: TaskId) -> None:
    """The result says that the app used up its instructions."""
    failure = (await rig.result(task)).failure()
    assert failure is not None
    assert failure.cause == "instruction-limit"


async def test_an_enclave_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig, rig.worker():
        (task,) = await rig.deal("loop", params=SLOW)
        killed = await enclave_at_work(os.getpid())
        os.kill(killed, signal.SIGKILL)
        await ends_as_it_should(rig, task)
        assert not any(isinstance(news, Failed) for news in rig.news), "the pool did not have to know"


async def test_a_worker_that_is_killed_takes_its_enclave_along_and_begins_anew(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig:
        wallet = await rig.parts.hire()
        process = rig.parts.process(wallet, rig.pool_url, allow_simulated=True)
        process.start()
        assert process.process is not None
        (task,) = await rig.deal("loop", params=SLOW)
        enclave = await enclave_at_work(process.process.pid)
        guests = children_of(enclave)
        await process.end(signal.SIGKILL)
        for orphan in (enclave, *guests):
            await gone(orphan)
        process.start()
        await ends_as_it_should(rig, task)
        await process.end(signal.SIGTERM)


class Unsigned(ChainLedger):
    """A worker's hand on the chain that leaves the enclave's signature out."""

    async def finish(self, task_id: TaskId, digest: Hash32, admission: Admission, *, results: bytes, callback: bytes) -> None:
        await super().finish(task_id, digest, replace(admission, enclave_sign="0x" + "11" * 65), results=results, callback=callback)


async def test_without_the_enclaves_signature_the_hub_takes_nothing(tmp_path: Path) -> None:
    async with open_enclave_rig(tmp_path) as rig:
        wallet = await rig.parts.hire()

        def cheat(parts: Parts) -> Parts:
            ledger = parts.ledger
            assert isinstance(ledger, ChainLedger)
            ledger.__class__ = Unsigned
            return parts

        settings = rig.parts.settings(rig.pool_url, "cheat", allow_simulated=True)
        async with open_worker(settings, wallet, on_event=rig.news.append, change=cheat) as worker, anyio.create_task_group() as tasks:
            tasks.start_soon(worker.run)
            (task,) = await rig.deal("witness")
            refused = await rig.until(task, lambda view: any(replica.cause for replica in view.replicas))
            assert MachineFailure.CHAIN_REFUSED in refused.replicas[0].cause
            await rig.until(task, lambda view: view.phase == "claimed")  # nobody else is there who could try
            async with rig.worker("honest"):
                (again,) = await rig.deal("witness")
                await rig.result(again)
            tasks.cancel_scope.cancel()


async def test_another_tasks_session_is_refused(tmp_path: Path) -> None:
    """Not with another task's authorisation, not with one for another worker, not with a challenge of one's own making."""
    async with open_enclave_rig(tmp_path) as rig, httpx.AsyncClient() as http:
        mine, other = await rig.deal("witness", volume=2)
        challenges = {}
        for task in (mine, other):
            await rig.until(task, lambda view: any(moment.what == "the vault made its key" for moment in view.story))
            challenges[task] = rig.pool.service.machine.book.tasks[task].record.challenge
        worker, stranger, scheduler = KeySigner(b"\x31" * 32), KeySigner(b"\x32" * 32), rig.parts.rig.scheduler
        vault = HttpVault(http, rig.vault_url, rig.parts.rig.chain.domain, worker)
        granted = sign_authorization(scheduler, worker.address, mine, challenges[mine])
        key = SessionKey(os.urandom)

        def wish(task: TaskId, enclave: str, authorization: str) -> SessionWish:
            return SessionWish(task_id=task, enclave=enclave, session_key=key.public, authorization=authorization)  # type: ignore[arg-type]

        for false in (
            wish(other, str(challenges[other]), granted),
            wish(other, str(challenges[mine]), sign_authorization(scheduler, worker.address, other, challenges[mine])),
            wish(mine, stranger.address, sign_authorization(scheduler, worker.address, mine, stranger.address)),
            wish(mine, str(challenges[mine]), sign_authorization(stranger, worker.address, mine, challenges[mine])),
            wish(mine, str(challenges[mine]), sign_authorization(scheduler, stranger.address, mine, challenges[mine])),
        ):
            with pytest.raises(VoisinError):
                await vault.session(false)
        session = await vault.session(wish(mine, str(challenges[mine]), granted))
        opened = key.open(session.sealed, session.request, session.vault)
        assert opened.challenge_signer().address == challenges[mine]
        with pytest.raises(TrustError):
            SessionKey(os.urandom).open(session.sealed, session.request, session.vault)
        assert (await rig.view(mine)).replicas == ()
