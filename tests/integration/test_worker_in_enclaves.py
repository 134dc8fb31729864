"""A worker with simulated enclaves among twins: what it refuses, what it survives, what it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.worker_bench import Bench, key, open_bench, outcome_of
from voisin.enclave.words import Refused
from voisin.errors import TrustError, UnavailableError
from voisin.protocol.ids import ZERO_ADDRESS, DealId, TaskId, task_id
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.tags import as_tag
from voisin.protocol.wire import Failed, Printed, Progress
from voisin.protocol.wire_words import MachineFailure, ReplicaStage
from voisin.sandbox import Job, Outcome
from voisin.worker.vocabulary import Phase, Settled

pytestmark = pytest.mark.anyio
TEE = as_tag("tee,tdx")


async def given(bench: Bench, *, direct: bool = True, deal: DealId | None = None, **changes: Any) -> TaskId:
    """Give the worker a task in an enclave."""
    await bench.pool.joined()
    made = deal or bench.deal(tag=TEE)
    task = task_id(made, 0)
    challenge = bench.vault.key(task).address
    return await bench.pool.assign(made, 0, bench.me, **{"enclave_challenge": challenge, "is_direct": direct, **changes})


async def paid(bench: Bench, task: TaskId) -> None:
    """Wait until a task is over, and see that the worker was paid."""
    await bench.until(lambda: any(isinstance(news, Settled) and news.task_id == task for news in bench.news), "end of the task")
    assert Settled(task, "paid") in bench.news


async def refusal(bench: Bench, **changes: Any) -> Failed:
    """Give the worker a task that it refuses."""
    return await bench.pool.hear(Failed, await given(bench, **changes))


async def test_the_only_worker_stores_first_and_finishes_in_one_transaction(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        task = await given(bench)
        await paid(bench, task)
        found = bench.hub.tasks[task]
        assert found.status is TaskStatus.COMPLETED
        assert decode_link(found.results) in bench.storage.blobs
        assert (outcome_of(bench, "finish"), outcome_of(bench, "contribute")) == ([task], [])
        assert bench.account.locked == 0


async def test_one_of_several_contributes_and_reveals(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        task = await given(bench, direct=False)
        await bench.reaches(task, Phase.REVEALED)
        contribution = bench.hub.contributions[task, bench.me]
        assert contribution.status is ContributionStatus.PROVED
        assert contribution.enclave_challenge == bench.vault.key(task).address


async def test_without_leave_nothing_is_done_in_simulated_enclaves(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench:
        bench.enclaves = None  # type: ignore[assignment]
        async with bench.working(vault_url="memory://"):
            failure = await refusal(bench)
            assert failure.failure is MachineFailure.NO_RESOURCES
            assert "allow_simulated" in failure.detail
            assert bench.vault.opened == []


async def test_what_the_pool_and_the_deal_say_must_fit(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        assert "names no enclave" in (await refusal(bench, enclave_challenge=ZERO_ADDRESS)).detail
        plain = bench.deal()
        assert "names an enclave" in (await refusal(bench, deal=plain, direct=False)).detail
        replicated = bench.deal(tag=TEE, trust=5)
        assert "not for one" in (await refusal(bench, deal=replicated)).detail
        assert "gpu" in (await refusal(bench, deal=bench.deal(tag=as_tag("tee,tdx,gpu")))).detail
        assert bench.vault.opened == []


async def test_the_challenge_of_another_task_opens_no_session(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        other = bench.vault.key(task_id(bench.deal(tag=TEE), 0)).address
        failure = await refusal(bench, enclave_challenge=other)
        assert (failure.failure, bench.vault.opened) == (MachineFailure.VAULT_REFUSED, [])


async def test_a_vault_that_made_another_challenge_is_not_believed(tmp_path: Path) -> None:
    """The pool's authorisation names a challenge, and only who has its key may hand out the session."""
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        made = bench.deal(tag=TEE)
        task = task_id(made, 0)
        promised = bench.vault.key(task).address
        false = key("false vault")
        bench.vault.key = lambda _task: _Lying(promised, false)  # type: ignore[method-assign, assignment, return-value]
        failure = await refusal(bench, deal=made, enclave_challenge=promised)
        assert failure.failure is MachineFailure.VAULT_REFUSED
        assert "not from the vault" in failure.detail


class _Lying:
    def __init__(self, address: str, wallet: Any) -> None:
        self.address = address
        self.expose_key = wallet.expose_key


async def test_a_vault_that_is_away_is_asked_again(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        bench.vault.refusal = UnavailableError("the vault does not answer")
        failure = await refusal(bench)
        assert failure.failure is MachineFailure.VAULT_UNREACHABLE
        bench.vault.refusal = TrustError("no secrets for you")
        failure = await refusal(bench)
        assert (failure.failure, "no secrets for you" in failure.detail) == (MachineFailure.VAULT_REFUSED, True)
        bench.vault.refusal = None
        await paid(bench, await given(bench))


async def test_an_enclave_that_breaks_is_replaced_once(tmp_path: Path) -> None:
    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        bench.enclaves.answers = [UnavailableError("killed")]
        task = await given(bench)
        await paid(bench, task)
        assert bench.vault.opened == [task, task], "the second enclave has a key of its own"
        bench.enclaves.answers = [UnavailableError("killed"), UnavailableError("killed again")]
        failure = await refusal(bench)
        assert (failure.failure, failure.detail) == (MachineFailure.ENCLAVE_BROKEN, "killed again")
        bench.enclaves.answers = [Refused(MachineFailure.NO_RESOURCES, "too slow")]
        failure = await refusal(bench)
        assert failure.failure is MachineFailure.NO_RESOURCES


async def test_the_pool_hears_what_the_app_prints_and_how_it_ended(tmp_path: Path) -> None:
    async def talks(job: Job) -> Outcome:
        job.output_dir.mkdir()
        return Outcome(cause=None, instructions=1, stdout=b"hello" * 3_000, stderr="\u00fc\xff".encode())

    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        bench.runner.guest = talks
        for task in (await given(bench), await bench.pool.assign(bench.deal(), 0, bench.me)):
            await bench.pool.reaches(task, ReplicaStage.COMPUTED)
            heard = [message for message in bench.pool.heard if getattr(message, "task_id", "") == task]
            printed = [message for message in heard if isinstance(message, Printed)]
            assert "".join(each.text for each in printed if each.stream == "stdout") == "hello" * 3_000
            assert [each.start for each in printed if each.stream == "stdout"] == [0, 8_000]
            assert "".join(each.text for each in printed if each.stream == "stderr") == "\u00fc\xff"
            assert next(each.exit_code for each in heard if isinstance(each, Progress) and each.stage is ReplicaStage.COMPUTED) == 0


async def test_inputs_from_the_web_are_for_tasks_with_one_worker(tmp_path: Path) -> None:
    url = "https://data.example/file"

    async def reads(job: Job) -> dict[str, bytes]:
        assert job.input_dir is not None
        return {"copy": (job.input_dir / job.env["IEXEC_INPUT_FILE_NAME_1"]).read_bytes()}

    async with open_bench(tmp_path) as bench, bench.working(allow_simulated=True, vault_url="memory://"):
        bench.runner.guest = reads
        bench.web.pages[url] = b"from the web"
        params = f'{{"iexec_input_files": ["{url}"]}}'
        await paid(bench, await given(bench, deal=bench.deal(tag=TEE, params=params)))
        plain = await bench.pool.assign(bench.deal(params=params), 0, bench.me)
        await bench.reaches(plain, Phase.REVEALED)
        assert bench.result(plain).read("copy") == b"from the web"
        replicated = await bench.pool.assign(bench.deal(params=params, trust=5), 0, bench.me)
        await bench.reaches(replicated, Phase.CONTRIBUTED)
        failure = bench.result(replicated).failure()
        assert failure is not None
        assert "lies on the web" in failure.detail
        bench.web.pages.clear()
        failed = await refusal(bench, deal=bench.deal(tag=TEE, params=params))
        assert (failed.failure, "404" in failed.detail) == (MachineFailure.INPUT_UNAVAILABLE, True)
