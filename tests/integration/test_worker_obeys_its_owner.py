"""A running worker and its owner: pause, go on, leave and withdraw over the socket in its folder, with nothing lost."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.support.worker_bench import APP, Bench, open_bench
from voisin.errors import FundsError, InputError, StateError, TrustError
from voisin.protocol.records import Account, TaskStatus
from voisin.protocol.wire import Failed, Release
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.sandbox import Job
from voisin.units import NRLC
from voisin.worker import Worker
from voisin.worker.life import control
from voisin.worker.life.control import SOCKET, controlled
from voisin.worker.life.owner import converse, is_running
from voisin.worker.life.words import Answer, Ask, AskStatus, Leave, Pause, Resume, Stance, Withdraw, Withdrawn, WorkerStatus
from voisin.worker.vocabulary import Settled

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def owned(bench: Bench, **changes: object) -> AsyncIterator[Worker]:
    async with bench.working(rules_s=0.02, **changes) as worker, controlled(worker, bench.folder):
        await bench.pool.joined()
        await bench.until(lambda: worker.status().is_connected, "the worker hears that it is welcome")
        yield worker


async def ask(bench: Bench, what: Ask) -> list[Answer]:
    return await anyio.to_thread.run_sync(lambda: list(converse(bench.folder, what)))


async def status(bench: Bench, what: Ask | None = None) -> WorkerStatus:
    (answer,) = await ask(bench, what or AskStatus())
    assert isinstance(answer, WorkerStatus)
    return answer


async def test_the_pool_hears_what_the_worker_takes_and_when_that_changes(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("cores = 1\n")
    async with open_bench(tmp_path) as bench, owned(bench):
        await bench.until(lambda: bool(bench.pool.takes) and bench.pool.takes[-1].slots == 1)
        (tmp_path / "rules.toml").write_text(f"[apps]\ndeny = ['{APP}']\n")
        await bench.until(lambda: bench.pool.takes[-1].denied_apps == (APP,))
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        failure = await bench.pool.hear(Failed, task)
        assert (failure.failure, failure.detail) == (MachineFailure.NOT_WANTED, f"app {APP} is denied by this worker's rules")


async def test_a_paused_worker_finishes_what_runs_and_takes_nothing(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        gate = anyio.Event()

        async def wait(_job: Job) -> dict[str, bytes]:
            await gate.wait()
            return {"done": b""}

        bench.runner.guest = wait
        async with owned(bench, slots=1):
            deal = bench.deal(bot_size=3)
            first = await bench.pool.assign(deal, 0, bench.me)
            await bench.pool.reaches(first, ReplicaStage.COMPUTING)
            second = await bench.pool.assign(deal, 1, bench.me)
            await bench.pool.reaches(second, ReplicaStage.FETCHING)
            assert (await status(bench, Pause())).stance is Stance.PAUSED
            assert (await bench.pool.hear(Failed, second)).failure is MachineFailure.PAUSED
            third = await bench.pool.assign(deal, 2, bench.me)
            assert (await bench.pool.hear(Failed, third)).detail == "its owner has paused it"
            gate.set()
            await bench.pool.reaches(first, ReplicaStage.REVEALED)
            assert (await status(bench, Resume())).stance is Stance.WORKING
            await bench.until(lambda: bench.pool.takes[-1].slots == 1)
            again = await bench.pool.assign(deal, 1, bench.me)
            await bench.pool.reaches(again, ReplicaStage.REVEALED)


async def test_leaving_loses_nothing_and_ends_the_worker(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, owned(bench) as worker:
        task = await bench.pool.assign(bench.deal(), 0, bench.me)
        await bench.pool.reaches(task, ReplicaStage.REVEALED)
        said: list[Answer] = []

        def leave() -> None:
            said.extend(converse(bench.folder, Leave()))
            anyio.from_thread.run_sync(bench.pool.wake)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, leave)
            await bench.until(lambda: bench.pool.takes[-1].why == "it is leaving")
            assert not worker.left.is_set(), "its contribution is not paid yet"
            bench.hub.finish(task, TaskStatus.COMPLETED)
            await bench.pool.say(Release(task))
        assert Settled(task, "paid") in bench.news
        first, last = said[0], said[-1]
        assert isinstance(first, WorkerStatus)
        assert isinstance(last, WorkerStatus)
        assert [held.task_id for held in first.tasks] == [task]
        assert (last.stance, last.tasks) == (Stance.LEFT, ())
        with pytest.raises(StateError, match="is leaving"):
            await ask(bench, Resume())
    assert (bench.account.stake, bench.account.locked) == (100, 0)
    with pytest.raises(StateError, match="no worker runs"):
        await ask(bench, AskStatus())


async def test_free_money_is_withdrawn_and_no_more(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, owned(bench):
        bench.hub.accounts[bench.me] = Account(stake=NRLC(70), locked=NRLC(30))
        with pytest.raises(FundsError, match="can be withdrawn"):
            await ask(bench, Withdraw(NRLC(71)))
        assert await ask(bench, Withdraw(NRLC(20))) == [Withdrawn(NRLC(20))]
        assert await ask(bench, Withdraw()) == [Withdrawn(NRLC(50))]
        assert (bench.account.stake, bench.hub.balances[bench.me]) == (0, 70)


async def test_the_socket_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_bench(tmp_path) as bench, owned(bench):
        found = (tmp_path / SOCKET).stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        monkeypatch.setattr(control, "_PEER", _Stranger())
        with pytest.raises(TrustError, match="is not the owner"):
            await ask(bench, AskStatus())


class _Stranger:
    """The kernel says that somebody else is at the other end."""

    size = 12

    def unpack(self, _data: bytes) -> tuple[int, int, int]:
        return 1, os.getuid() + 1, 1


async def test_nonsense_is_declined_and_harms_nobody(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, owned(bench):

        def talk(data: bytes) -> bytes:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(tmp_path / SOCKET))
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                return peer.recv(4096)

        for nonsense in (b"hello\n", b'{"type":"sell"}\n', b"", b"x" * 5000):
            assert b"declined" in await anyio.to_thread.run_sync(talk, nonsense)
        assert (await status(bench)).is_connected


async def test_a_folder_with_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / "worker"
    async with open_bench(folder) as bench, owned(bench):
        assert (await status(bench)).worker == bench.me
        assert await anyio.to_thread.run_sync(is_running, folder)
    assert not is_running(folder)


async def test_a_rule_that_is_wrong_from_the_start_stops_the_worker(tmp_path: Path) -> None:
    from tests.support.worker_bench import key
    from voisin.worker import WorkerSettings, run_worker

    (tmp_path / "rules.toml").write_text("cores = 'two'\n")
    settings = WorkerSettings(pool_url="http://127.0.0.1:1", rpc_url="http://127.0.0.1:1", folder=tmp_path)
    with pytest.raises(InputError, match=r"rules.toml, line 1: cores"):
        await run_worker(settings, key("worker"))
