"""The routes of the ecosystem's client and our own logs, over HTTP, of a pool among twins."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import pytest

from tests.unit.pool.test_readers import answer
from tests.unit.pool.test_service_with_twins import POOL, World, completed, join, known_as
from voisin.pool.opening import Pool
from voisin.protocol.codec import encode
from voisin.protocol.consent import CONSENT_HEADER, write_consent
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.log_access import sign_log_access
from voisin.protocol.signatures import KeySigner
from voisin.protocol.wire import Printed, Progress
from voisin.protocol.wire_words import ReplicaStage, Stream
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

REQUESTER, STRANGER = KeySigner(b"\x11" * 32), KeySigner(b"\x22" * 32)


@dataclass
class Visit:
    """A pool that did a task, and somebody who asks it."""

    world: World
    pool: Pool
    http: httpx.AsyncClient
    task: TaskId

    async def get(self, path: str, **headers: str) -> tuple[int, str, object]:
        """Ask; answers status, content type and JSON."""
        found = await self.http.get(path, headers=headers)
        return found.status_code, found.headers["content-type"].partition(";")[0], found.json()

    async def authorization(self, wallet: KeySigner, chain_id: int = 31337) -> str:
        """Sign a fresh challenge."""
        _, _, data = await self.get(f"/tasks/logs/challenge?chainId={chain_id}&address={wallet.address}")
        assert isinstance(data, dict)
        return answer(data, wallet)

    def consent(self, wallet: KeySigner, nonce: int, until: int = 60) -> dict[str, str]:
        """Sign for the logs in our own way."""
        end = UnixSeconds(int(self.world.now) + until)
        given = sign_log_access(wallet, POOL, self.world.ledger.domain, self.task, nonce=Hash32(f"0x{nonce:064x}"), until=end)
        return {CONSENT_HEADER: write_consent(given)}


@asynccontextmanager
async def visit(*, prints: bool = True) -> AsyncIterator[Visit]:
    """Have a task done by one worker, which tells what its app prints."""
    world = World()
    (task,) = world.deal(requester=REQUESTER.address)
    async with world.pool() as pool, anyio.create_task_group() as tasks:
        worker = world.worker("alice")
        if prints:
            say = worker.say

            async def talkative(line, message) -> None:  # type: ignore[no-untyped-def]
                if isinstance(message, Progress):
                    for stream in Stream:
                        await say(line, Printed(task_id=task, stream=stream, start=0, text=f"on {stream}"))
                    await line.send(encode(Progress(task_id=task, stage=ReplicaStage.COMPUTED, exit_code=0)).decode())
                    return
                await say(line, message)

            worker.say = talkative  # type: ignore[method-assign]
        join(tasks, pool, worker)
        await completed(world, task)
        await known_as(pool, task, "completed")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=pool.app), base_url="http://pool") as http:
            yield Visit(world, pool, http, task)
        tasks.cancel_scope.cancel()


async def test_a_task_in_the_ecosystems_words() -> None:
    async with visit() as at:
        status, kind, found = await at.get(f"/tasks/{at.task}")
        assert (status, kind) == (200, "application/json")
        assert isinstance(found, dict)
        names = [each["status"] for each in found["dateStatusList"]]
        assert names == [
            "RECEIVED", "INITIALIZING", "INITIALIZED", "RUNNING", "CONSENSUS_REACHED", "AT_LEAST_ONE_REVEALED", "RESULT_UPLOADING",
            "RESULT_UPLOADED", "FINALIZED", "COMPLETED",
        ]  # fmt: skip
        assert found["currentStatus"] == "COMPLETED"
        assert found["dateStatusList"][0]["date"].endswith("+00:00")
        (replica,) = found["replicates"]
        names = [each["status"] for each in replica["statusUpdateList"]]
        assert names == [
            "CREATED", "STARTING", "COMPUTED", "CONTRIBUTED", "REVEALED", "RESULT_UPLOAD_REQUESTED", "RESULT_UPLOADED", "COMPLETED",
        ]  # fmt: skip
        assert (replica["currentStatus"], replica["appExitCode"]) == ("COMPLETED", 0)
        assert replica["walletAddress"] == found["uploadingWorkerWalletAddress"]
        assert await at.get(f"/tasks/{at.task}/replicates/{replica['walletAddress']}") == (200, kind, replica)
        assert {"chainTaskId", "maxExecutionTime", "dappType", "initializationBlockNumber", "resultLink"} < set(found)


async def test_what_is_not_there_is_said_in_json() -> None:
    async with visit() as at:
        nowhere = "0x" + "77" * 32
        for path, status in (
            (f"/tasks/{nowhere}", 404),
            ("/tasks/nonsense", 400),
            (f"/tasks/{at.task}/replicates/{STRANGER.address}", 404),
        ):
            found = await at.get(path)
            assert found[:2] == (status, "application/json")
            assert isinstance(found[2], dict)
            assert found[2]["error"]
        assert (await at.get("/tasks/logs/challenge?chainId=1&address=" + REQUESTER.address))[0] == 401
        assert (await at.get("/tasks/logs/challenge?chainId=31337&address=nobody"))[0] == 400


async def test_the_requester_reads_the_logs_with_a_challenge_once() -> None:
    async with visit() as at:
        path, header = f"/tasks/{at.task}/logs", await at.authorization(REQUESTER)
        status, kind, found = await at.get(path, authorization=header)
        assert (status, kind) == (200, "application/json")
        assert isinstance(found, dict)
        (log,) = found["computeLogsList"]
        assert (log["stdout"], log["stderr"]) == ("on stdout", "on stderr")
        assert (await at.get(path, authorization=header))[0] == 401, "it is used up"
        assert (await at.get(path, authorization=await at.authorization(STRANGER)))[0] == 403
        assert (await at.get(path))[0] == 401
        at.world.now += 3_600
        late = await at.authorization(REQUESTER)
        at.world.now += 3_600
        assert (await at.get(path, authorization=late))[0] == 401, "it has expired"


async def test_a_task_that_printed_nothing_has_no_logs() -> None:
    async with visit(prints=False) as at:
        assert (await at.get(f"/tasks/{at.task}/logs", authorization=await at.authorization(REQUESTER)))[0] == 404


async def test_our_own_way_to_the_logs() -> None:
    async with visit() as at:
        path = f"/v1/tasks/{at.task}/logs"
        found = (await at.http.get(path, headers=at.consent(REQUESTER, 1))).raise_for_status().json()
        assert [(log["stdout"], log["stderr"]) for log in found["logs"]] == [("on stdout", "on stderr")]
        for headers, words in (
            (at.consent(REQUESTER, 1), "used before"),
            (at.consent(REQUESTER, 2, until=0), "counts until"),
            (at.consent(STRANGER, 3), "did not buy"),
            ({}, "missing"),
        ):
            refused = await at.http.get(path, headers=headers)
            assert refused.status_code == 403
            assert words in refused.json()["detail"]


async def test_the_stream_tells_all_and_ends_with_the_task() -> None:
    async with visit() as at:
        answered = await at.http.get(f"/v1/tasks/{at.task}/logs/stream", headers=at.consent(REQUESTER, 1))
        assert answered.headers["content-type"].startswith("text/event-stream")
        blocks = [block.splitlines() for block in answered.text.split("\n\n") if block.startswith("event: ")]
        printed = [json.loads(lines[1].removeprefix("data: ")) for lines in blocks if lines[0] == "event: printed"]
        assert [(piece["stream"], piece["start"], piece["text"]) for piece in printed] == [
            ("stdout", 0, "on stdout"),
            ("stderr", 0, "on stderr"),
        ]
        assert blocks[-1][0] == "event: end"
        refused = await at.http.get(f"/v1/tasks/{at.task}/logs/stream", headers=at.consent(REQUESTER, 1))
        assert refused.status_code == 403


async def test_pages_of_other_origins_may_ask() -> None:
    async with visit() as at:
        asked = {"origin": "http://page", "access-control-request-method": "GET", "access-control-request-headers": "authorization"}
        answered = await at.http.options(f"/tasks/{at.task}/logs", headers=asked)
        assert answered.headers["access-control-allow-origin"] == "*"
        assert "authorization" in answered.headers["access-control-allow-headers"].lower()
