"""An upload is taken only if it is there, not too large, and the very result that the workers agreed on."""

from __future__ import annotations

import httpx
import pytest

from tests.unit.pool.conftest import wallet
from voisin.errors import UnavailableError
from voisin.pool.heart.commands import CheckUpload
from voisin.pool.running.uploads import HttpResults, Stored, TwinResults, check_upload
from voisin.pool.settings import PoolSettings
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.cid import Cid
from voisin.protocol.ids import Hash32, TaskId
from voisin.protocol.results import sha256

pytestmark = pytest.mark.anyio

TASK = TaskId(Hash32("0x" + "7a" * 32))
GOOD = pack_files({"out.txt": b"42", "folder/more.bin": bytes(1000)})
DIGEST = open_archive(GOOD).digest()
LARGE = pack_files({"noise.bin": bytes(range(256)) * 4096})
"""A megabyte, and compressed far below that."""


def check(cid: str, *, digest: Hash32 = DIGEST, has_callback: bool = False, is_encrypted: bool = False) -> CheckUpload:
    return CheckUpload(
        worker=wallet("alice"),
        task_id=TASK,
        cid=cid,
        callback_data="0x",
        digest=digest,
        has_callback=has_callback,
        is_encrypted=is_encrypted,
    )


async def test_the_agreed_result_is_good() -> None:
    results = TwinResults()
    assert await check_upload(results, PoolSettings(), check(results.put(GOOD))) == ""


async def test_large_results_are_compared_too() -> None:
    results = TwinResults()
    noisy = pack_files({"noise.bin": b"".join(sha256(number.to_bytes(4, "big")) for number in range(10_000))})
    assert len(noisy) > 1 << 18
    digest = open_archive(noisy).digest()
    assert await check_upload(results, PoolSettings(), check(results.put(noisy), digest=digest)) == ""
    assert "digest" in await check_upload(results, PoolSettings(), check(results.put(noisy)))


@pytest.mark.parametrize("cid", ["", "../../etc/passwd", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKQZFk", "BAFKREI" + "A" * 52])
async def test_what_is_no_name_of_content_is_refused_without_asking(cid: str) -> None:
    results = TwinResults()
    results.is_away = True
    problem = await check_upload(results, PoolSettings(), check(cid))
    assert problem
    assert "does not answer" not in problem


async def test_what_is_not_there_is_refused() -> None:
    assert await check_upload(TwinResults(), PoolSettings(), check(TwinResults().put(GOOD))) == "it is not in storage"


async def test_what_is_too_large_is_refused() -> None:
    results = TwinResults()
    settings = PoolSettings(max_upload_bytes=len(GOOD) - 1)
    assert await check_upload(results, settings, check(results.put(GOOD))) == f"it has {len(GOOD)} bytes, and {len(GOOD) - 1} are allowed"


@pytest.mark.parametrize("other", [pack_files({"out.txt": b"43"}), b"not an archive", b""])
async def test_another_result_than_the_agreed_one_is_refused(other: bytes) -> None:
    results = TwinResults()
    assert (await check_upload(results, PoolSettings(), check(results.put(other)))).startswith("it is not the agreed result")


async def test_above_a_size_only_the_presence_is_checked() -> None:
    results = TwinResults()
    cid = results.put(LARGE)
    assert await check_upload(results, PoolSettings(max_checked_bytes=100), check(cid)) == ""
    assert await check_upload(results, PoolSettings(), check(cid)) != ""


async def test_encrypted_results_cannot_be_compared() -> None:
    results = TwinResults()
    assert await check_upload(results, PoolSettings(), check(results.put(b"cipher"), is_encrypted=True)) == ""


async def test_with_a_callback_the_digest_is_that_of_the_callback_data() -> None:
    results = TwinResults()
    archive = pack_files({"computed.json": b'{"callback-data": "0x1234"}', "out.txt": b"x"})
    digest = Hash32("0x56570de287d73cd1cb6092bb8fdee6173974955fdef345ae579ee9f475ea7432")  # keccak-256 of 0x1234
    command = check(results.put(archive), digest=digest, has_callback=True)
    assert await check_upload(results, PoolSettings(), command) == ""


async def test_bytes_of_another_name_are_not_believed() -> None:
    results = TwinResults()
    cid = results.put(GOOD)
    results.blobs[cid] = LARGE
    assert await check_upload(results, PoolSettings(), check(cid)) == "the storage gave other bytes than those of this name"


class FlickeringResults(TwinResults):
    """A storage that does not answer the first times."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def fetch(self, cid: Cid, *, max_bytes: int) -> Stored | None:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the storage does not answer")
        return await super().fetch(cid, max_bytes=max_bytes)


@pytest.mark.parametrize(("failures", "problem"), [(1, ""), (4, "the storage does not answer")])
async def test_a_storage_that_flickers_is_asked_again_and_not_for_ever(failures: int, problem: str) -> None:
    results = FlickeringResults(failures)
    assert await check_upload(results, PoolSettings(), check(results.put(GOOD))) == problem


async def over_http(answer: httpx.Response) -> Stored | None:
    """Ask a storage that gives one answer."""
    transport = httpx.MockTransport(lambda request: answer)
    async with httpx.AsyncClient(transport=transport) as http:
        return await HttpResults(http, "http://storage/").fetch(Cid("bafkrei"), max_bytes=10)


async def test_over_http_small_results_come_with_their_bytes() -> None:
    assert await over_http(httpx.Response(200, content=b"12345")) == Stored(5, b"12345")
    assert await over_http(httpx.Response(200, content=b"x" * 11)) == Stored(11, None)
    assert await over_http(httpx.Response(404)) is None


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(500), httpx.Response(302), httpx.Response(200, headers={"content-length": "many"})],
)
async def test_over_http_other_answers_are_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(UnavailableError):
        await over_http(answer)
