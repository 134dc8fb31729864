"""The client against storages that lie, break off, are full, or are not there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from voisin.errors import InputError, TrustError, UnavailableError
from voisin.protocol.cid import Cid, cid_of
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, ContentMissingError, ContentTooLargeError, StorageClient, StorageFullError, create_storage_app
from voisin.storage.catalog import Catalog, Keep

pytestmark = pytest.mark.anyio

DATA = b"0123456789abcdef" * 50_000
CID = cid_of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store", quota_bytes=4_000_000, max_blob_bytes=2_000_000)


@pytest.fixture
async def client(store: BlobStore) -> AsyncIterator[StorageClient]:
    async with serve_app(create_storage_app(store)) as url, StorageClient(url) as client:
        yield client


class Pieces(httpx.AsyncByteStream):
    """A body that comes in pieces, again and again if it is to be endless."""

    def __init__(self, *pieces: bytes, is_endless: bool = False) -> None:
        self.pieces, self.is_endless = pieces, is_endless

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            for piece in self.pieces:
                yield piece
            if not self.is_endless:
                return


def reply(status: int, *pieces: bytes, headers: dict[str, str] | None = None, is_endless: bool = False) -> httpx.Response:
    """An answer as it comes over a network."""
    return httpx.Response(status, headers=headers, stream=Pieces(*pieces, is_endless=is_endless))


def answering(handler: Callable[[httpx.Request], httpx.Response], **options: float) -> StorageClient:
    """A client whose storage is a function."""
    return StorageClient("http://storage", transport=httpx.MockTransport(handler), random_fraction=lambda: 0.0, **options)


async def test_bytes_and_files_go_there_and_come_back(client: StorageClient, store: BlobStore, tmp_path: Path) -> None:
    assert await client.put_bytes(DATA) == CID
    assert await client.get_bytes(CID, max_bytes=len(DATA)) == DATA
    assert await client.put_bytes(b"") == cid_of(b"")
    assert await client.get_bytes(cid_of(b""), max_bytes=0) == b""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(1_500_000))
    cid = await client.put_file(source)
    target.write_bytes(b"to be replaced")
    assert await client.get_file(cid, target, max_bytes=2_000_000) == 1_500_000
    assert target.read_bytes() == source.read_bytes()
    assert await client.has(cid)
    assert not await client.has(cid_of(b"missing"))
    assert set(store.cids()) == {CID, cid_of(b""), cid}


async def test_a_file_that_is_there_is_not_sent_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200)

    (tmp_path / "file").write_bytes(DATA)
    async with answering(handler) as client:
        assert await client.put_file(tmp_path / "file") == CID
    assert asked == ["HEAD"]


async def test_refusals_of_the_storage_arrive_as_what_they_are(client: StorageClient, tmp_path: Path) -> None:
    with pytest.raises(ContentMissingError, match="is not stored here"):
        await client.get_bytes(CID, max_bytes=10)
    with pytest.raises(ContentTooLargeError, match="larger than 2000000 bytes"):
        await client.put_bytes(bytes(2_000_001))
    for byte in b"12":
        await client.put_bytes(bytes([byte]) * 1_900_000)
    with pytest.raises(StorageFullError, match="full"):
        await client.put_bytes(bytes(1_000_000))
    with pytest.raises(InputError, match="cannot read"):
        await client.put_file(tmp_path / "none")
    with pytest.raises(InputError, match="not a content identifier"):
        await client.get_bytes(Cid("nonsense"), max_bytes=10)


WRONG: dict[str, tuple[bytes, type[Exception]]] = {
    "flipped": (b"\x01" + DATA[1:], TrustError),
    "short": (DATA[:-1], TrustError),
    "empty": (b"", TrustError),
    "long": (DATA + b"x", ContentTooLargeError),
}


@pytest.mark.parametrize("lie", WRONG)
async def test_wrong_bytes_are_never_handed_on(tmp_path: Path, lie: str) -> None:
    data, error = WRONG[lie]
    async with answering(lambda _: reply(200, data[:1_000], data[1_000:])) as client:
        with pytest.raises(error):
            await client.get_bytes(CID, max_bytes=len(DATA))
        with pytest.raises(error):
            await client.get_file(CID, tmp_path / "target", max_bytes=len(DATA))
    assert _names(tmp_path) == []


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_right_length_in_the_header_convinces_nobody(tmp_path: Path) -> None:
    async with answering(lambda _: reply(200, bytes(1 << 16), headers={"content-length": "800000"}, is_endless=True)) as client:
        with pytest.raises(ContentTooLargeError):
            await client.get_file(CID, tmp_path / "target", max_bytes=len(DATA))


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async with answering(lambda _: reply(200, DATA, headers={"content-encoding": "gzip"})) as client:
        assert await client.get_bytes(CID, max_bytes=len(DATA)) == DATA


async def test_a_storage_that_stores_something_else_is_found_out() -> None:
    async with answering(lambda _: reply(201, b'{"cid": "%s", "size": 5}' % cid_of(b"other").encode())) as client:
        with pytest.raises(TrustError, match="in place of"):
            await client.put_bytes(DATA)
    async with answering(lambda _: reply(201, b"<html>", is_endless=True)) as client:
        with pytest.raises(InputError, match="the storage's answer is malformed"):
            await client.put_bytes(DATA)


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, 429, 408, httpx.ConnectError("refused"), httpx.ReadError("reset")])
async def test_passing_trouble_is_overcome(trouble: int | Exception) -> None:
    calls: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        if len(calls) < 4:
            if isinstance(trouble, Exception):
                raise trouble
            return reply(trouble)
        return reply(200, DATA)

    async with answering(handler) as client:
        assert await client.get_bytes(CID, max_bytes=len(DATA)) == DATA
    assert len(calls) == 4


async def test_lasting_trouble_ends_at_the_deadline() -> None:
    async with answering(lambda _: reply(503), deadline_s=0.05) as client:
        with pytest.raises(UnavailableError, match=r"does not answer \(status 503\)"):
            await client.get_bytes(CID, max_bytes=10)
    async with StorageClient("http://127.0.0.1:9", deadline_s=0.05) as client:
        with pytest.raises(UnavailableError, match="does not answer"):
            await client.put_bytes(DATA)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 418])
async def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    calls: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return reply(status, b"no", headers={"location": "http://elsewhere/"})

    async with answering(handler) as client:
        with pytest.raises(TrustError if status == 403 else InputError, match=str(status)):
            await client.get_bytes(CID, max_bytes=10)
    assert len(calls) == 1


@pytest.mark.parametrize("address", ["", "storage", "ftp://storage", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="not the address of a storage"):
        StorageClient(address)


async def test_a_folder_that_cannot_be_written_is_named(client: StorageClient, tmp_path: Path) -> None:
    await client.put_bytes(DATA)
    with pytest.raises(InputError, match="cannot write"):
        await client.get_file(CID, tmp_path / "none" / "target", max_bytes=len(DATA))


async def test_results_are_stored_as_such(client: StorageClient, store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"a result")
    (tmp_path / "input").write_bytes(b"an input")
    result, given = await client.put_result(tmp_path / "result"), await client.put_file(tmp_path / "input")
    catalog = Catalog(store.folder / "catalog.db")
    assert [root.name.cid for root in catalog.roots(Keep.RESULT)] == [result]
    assert [root.name.cid for root in catalog.roots(Keep.PINNED)] == [given]
    catalog.close()
