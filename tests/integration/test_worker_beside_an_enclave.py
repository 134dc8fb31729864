"""A worker whose tasks with secrets run in an enclave that listens: a process that is none of the worker's."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

from tests.support.enclave_rig import open_enclave_rig
from tests.support.listening_enclave import enclave_at_work, listening_enclave
from tests.support.patience import a_moment
from tests.support.pool_rig import DEADLINE_S
from voisin.enclave.words import Introduce
from voisin.errors import InputError, StateError, TrustError, UnavailableError
from voisin.protocol.evidence import SimulatedEvidence
from voisin.protocol.ids import Hash32, as_address
from voisin.protocol.wire_words import EnclaveKind
from voisin.units import UnixSeconds
from voisin.worker.enclave.distant import find_enclaves
from voisin.worker.enclave.reaching import read_place
from voisin.worker.vocabulary import Failed

pytestmark = pytest.mark.anyio

ME = as_address("0x" + "12" * 20)
WANTED = Introduce(nonce=Hash32("0x" + "34" * 32), workerpool=ME, chain_id=1, worker=ME)
SLOW = '{"voisin_limits": {"instructions": 6000000000}}'


async def test_a_task_runs_in_the_enclave_beside(tmp_path: Path) -> None:
    """Its content reaches the app, the result is sealed for its reader, and everybody says that it was simulated."""
    with listening_enclave(f"unix:{tmp_path}/enclave.sock", slots=2) as enclave:
        async with open_enclave_rig(tmp_path) as rig, rig.worker(enclave=enclave.address):
            reader = await rig.reader()
            order = await rig.protected(b"what nobody but the app may read")
            (task,) = await rig.deal("witness", dataset=order, params='{"iexec_result_encryption": true}')
            archive = await rig.result(task, reader)
            assert archive.read(f"in-{order.dataset}") == b"what nobody but the app may read"
            view = await rig.view(task)
            assert view.enclave is EnclaveKind.SIMULATED
            (session,) = (await rig.vault.service.sessions.evidence(task)).sessions
            assert "simulated" in session.kept
            assert [worker.record.enclave for worker in rig.pool.service.machine.book.workers.values()] == [EnclaveKind.SIMULATED]


async def test_an_enclave_that_is_killed_in_the_middle_is_replaced(tmp_path: Path) -> None:
    with listening_enclave(f"unix:{tmp_path}/enclave.sock") as enclave:
        async with open_enclave_rig(tmp_path) as rig, rig.worker(enclave=enclave.address):
            (task,) = await rig.deal("loop", params=SLOW)
            os.kill(await enclave_at_work(enclave.process.pid), signal.SIGKILL)
            failure = (await rig.result(task)).failure()
            assert failure is not None
            assert failure.cause == "instruction-limit"
            assert not any(isinstance(news, Failed) for news in rig.news), "the pool did not have to know"


async def test_an_enclave_that_breaks_with_a_key_under_terms_uses_the_task_up(tmp_path: Path) -> None:
    """Nobody can know whether it ran the app, so no second enclave gets the key; the requester does not pay, and the owner sees the use."""
    with listening_enclave(f"unix:{tmp_path}/enclave.sock") as enclave:
        async with open_enclave_rig(tmp_path) as rig, rig.worker(enclave=enclave.address):
            order = await rig.protected(b"what nobody but the app may read")
            hub, payer = rig.parts.rig.chain.hub, rig.requester.address
            before = await hub.account(payer)
            (task,) = await rig.deal("loop", dataset=order, params=SLOW)
            at_work = await enclave_at_work(enclave.process.pid)
            with anyio.fail_after(DEADLINE_S):
                while not (await rig.vault.service.sessions.evidence(task)).sessions:
                    await a_moment()
            os.kill(at_work, signal.SIGKILL)
            view = await rig.until(task, lambda view: view.phase == "claimed")
            assert "another enclave got the keys" in str(view)
            after = await hub.account(payer)
            assert (after.stake, after.locked) == (before.stake, before.locked)
            assert len((await rig.vault.service.sessions.evidence(task)).sessions) == 1
            uses = await rig.vault.service.sessions._cabinet.store.terms.uses_of(order.dataset, since=UnixSeconds(0), before=None, limit=9)
            assert [use.task_id for use in uses] == [task]


async def test_what_it_is_is_asked_first(tmp_path: Path) -> None:
    place = read_place(f"unix:{tmp_path}/enclave.sock")
    with pytest.raises(UnavailableError, match="no enclave answers"):
        await find_enclaves(place, ME, allow_simulated=True)
    with listening_enclave(place.text, slots=3):
        with pytest.raises(TrustError, match="SIMULATED"):
            await find_enclaves(place, ME, allow_simulated=False)
        found = await find_enclaves(place, ME, allow_simulated=True)
        assert (found.kind, found.slots.total_tokens) == (EnclaveKind.SIMULATED, 3)
        assert (await found.introduce(WANTED)).evidence == SimulatedEvidence()
        with pytest.raises(StateError, match="was intel-tdx and says now that it is simulated"):
            await type(found)(place, EnclaveKind.TDX, found.slots).introduce(WANTED)


async def test_it_also_listens_in_a_private_network() -> None:
    with listening_enclave("tcp:127.0.0.1:0") as enclave:
        found = await find_enclaves(read_place(enclave.address), ME, allow_simulated=True)
        assert (await found.introduce(WANTED)).evidence == SimulatedEvidence()
    assert enclave.process.returncode == 0


@pytest.mark.parametrize("text", ["unix:", "tcp:host", "tcp:host:port", "vsock:3", "somewhere", ""])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no address of an enclave"):
        read_place(text)
