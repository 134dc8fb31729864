"""Many small blobs in one request: each is stored under its own name, or the request is refused as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from voisin.errors import InputError, TrustError
from voisin.protocol.cid import cid_of
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, ContentTooLargeError, StorageClient, StorageFullError, create_storage_app
from voisin.storage.batches import MAX_BLOBS, join_blobs, split_blobs
from voisin.storage.catalog import Catalog, Keep

pytestmark = pytest.mark.anyio
BLOBS = [b"", b"one", b"two", b"one", bytes(1_000)]


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store", quota_bytes=100_000, max_blob_bytes=50_000)


@pytest.fixture
async def client(store: BlobStore) -> AsyncIterator[StorageClient]:
    async with serve_app(create_storage_app(store)) as url, StorageClient(url) as client:
        yield client


async def test_each_blob_has_its_own_name(client: StorageClient, store: BlobStore) -> None:
    for _ in range(2):  # storing the same again changes nothing
        await client.put_results(BLOBS)
    assert sorted(store.cids()) == sorted({cid_of(blob) for blob in BLOBS})
    for blob in BLOBS:
        assert await client.get_bytes(cid_of(blob), max_bytes=10_000) == blob
    assert store.used_bytes == sum(map(len, set(BLOBS)))
    assert not list((store.folder / "incoming").iterdir())


async def test_they_are_kept_as_results(client: StorageClient, store: BlobStore) -> None:
    await client.put_results(BLOBS)
    catalog = Catalog(store.folder / "catalog.db")
    assert {root.name.cid for root in catalog.roots(Keep.RESULT)} == {cid_of(blob) for blob in BLOBS}
    catalog.close()


async def test_too_much_is_refused(client: StorageClient, store: BlobStore) -> None:
    with pytest.raises(ContentTooLargeError):
        await client.put_results([bytes(30_000), b"1" * 30_000])
    await client.put_results([b"2" * 40_000])
    await client.put_results([b"3" * 40_000])
    with pytest.raises(StorageFullError):
        await client.put_results([b"4" * 15_000, b"5" * 15_000])
    assert store.used_bytes <= 100_000


@pytest.mark.parametrize("body", [b"", b"\0\0\0", b"\0\0\0\5four", join_blobs([b"a"]) + b"\0", join_blobs([b""] * (MAX_BLOBS + 1))])
async def test_what_is_no_batch_is_refused(client: StorageClient, store: BlobStore, body: bytes) -> None:
    with pytest.raises(InputError):
        split_blobs(body)
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{client.base_url}/v1/blobs/batch", content=body)
    assert answer.status_code == 400
    assert not list(store.cids())


async def test_a_storage_that_stores_something_else_is_found_out() -> None:
    body = msgspec.json.encode([{"cid": cid_of(b"another"), "size": 1}])
    answer = httpx.Response(201, stream=httpx.ByteStream(body))
    client = StorageClient("http://storage", transport=httpx.MockTransport(lambda _: answer))
    with pytest.raises(TrustError):
        await client.put_results([b"this"])
    await client.aclose()


def test_batches_are_read_as_they_were_written() -> None:
    assert split_blobs(join_blobs(BLOBS)) == BLOBS
