"""Results: only what has the digest on the chain is shown; saving stays inside the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.client import stories as s
from voisin.client.results import AppFailedError, Finished, Result, fetch_result, require_completed
from voisin.errors import StateError, TrustError
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.cid import Cid, cid_of
from voisin.protocol.ids import ZERO_HASH, Hash32, TaskId
from voisin.protocol.records import Task, TaskStatus
from voisin.protocol.results import encode_link
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

FILES = {"out/a.txt": b"A", "stdout.txt": b"printed\n"}
FINISHED = Finished(deal_id=s.DEAL_ID, deal=s.DEAL, task_id=s.TASK_0, place=0, workers=(s.WORKER_A,), price=s.PRICE)


def task(status: TaskStatus, digest: Hash32 = ZERO_HASH, archive: bytes = b"") -> Task:
    zero = UnixSeconds(0)
    return Task(
        status=status,
        deal_id=s.DEAL_ID,
        index=0,
        time_ref_s=300,
        contribution_deadline=zero,
        reveal_deadline=zero,
        final_deadline=zero,
        consensus=ZERO_HASH,
        reveal_counter=0,
        winner_counter=0,
        contributors=(),
        result_digest=digest,
        results=encode_link(cid_of(archive)),
        results_callback=b"",
    )


class TwinHub:
    """Knows one task."""

    def __init__(self, known: Task) -> None:
        self.known = known

    async def task(self, task_id: TaskId) -> Task:
        return self.known


class TwinChain:
    """A chain with one task."""

    def __init__(self, known: Task) -> None:
        self.hub = TwinHub(known)


class TwinStorage:
    """Gives whatever it was told to, under any name."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        return self.data


async def fetch(stored: bytes, agreed: bytes) -> Result:
    known = task(TaskStatus.COMPLETED, open_archive(agreed).digest(), agreed)
    return await fetch_result(TwinChain(known), TwinStorage(stored), FINISHED)  # type: ignore[arg-type]


async def test_the_agreed_result_is_shown(tmp_path: Path) -> None:
    archive = pack_files(FILES)
    result = await fetch(archive, archive)
    assert dict(result.files) == FILES
    assert (result.stdout, result.stderr) == ("printed\n", "")
    assert (result.price, result.workers, result.cid) == (s.PRICE, (s.WORKER_A,), cid_of(archive))
    assert "not there" not in result.files
    with pytest.raises(KeyError):
        result.files["not there"]
    assert result.save(tmp_path / "new") == [tmp_path / "new" / "out" / "a.txt", tmp_path / "new" / "stdout.txt"]
    assert (tmp_path / "new" / "out" / "a.txt").read_bytes() == b"A"


@pytest.mark.parametrize("stored", [pack_files({"out/a.txt": b"B", "stdout.txt": b"printed\n"}), pack_files({}), b"no archive", b""])
async def test_anything_else_is_refused(stored: bytes) -> None:
    with pytest.raises(TrustError):
        await fetch(stored, pack_files(FILES))


async def test_a_failure_carries_what_the_app_left() -> None:
    archive = pack_files({"error.json": b'{"cause":"out-of-time","detail":"10 s"}', "stderr.txt": b"a\nlast words\n"})
    with pytest.raises(AppFailedError) as caught:
        await fetch(archive, archive)
    assert (caught.value.cause, caught.value.detail) == ("out-of-time", "10 s")
    assert caught.value.result.stderr == "a\nlast words\n"
    assert "last words" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "says"), [(TaskStatus.FAILED, "refunded"), (TaskStatus.ACTIVE, "it is active"), (TaskStatus.REVEALING, "it is revealing")]
)
def test_a_task_without_result_says_why(status: TaskStatus, says: str) -> None:
    with pytest.raises(StateError, match=says):
        require_completed(s.TASK_0, task(status))
