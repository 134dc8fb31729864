"""The same storage over each of its back ends: a folder, an S3-speaking server (moto), an IPFS node (our own service as one)."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pytest

from voisin.errors import TrustError, UnavailableError
from voisin.protocol.cid import Cid, cid_of
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, ContentMissingError, ContentTooLargeError, StorageFullError, create_storage_app
from voisin.storage.backends import Backend, FolderBackend
from voisin.storage.ipfs_node import IpfsNodeBackend
from voisin.storage.opening import open_store
from voisin.storage.s3 import S3Backend
from voisin.storage.settings import StorageSettings

pytestmark = pytest.mark.anyio
BIG = random.Random(4).randbytes(20_000_000)
SMALL = b"hello world"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """Run a real S3 server, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-p", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        assert server.stderr is not None
        drain = threading.Thread(target=server.stderr.read)  # it logs every request, and would stand still when nobody reads
        try:
            found = next((match[1] for line in server.stderr if (match := re.search(r"Running on (http://127\.0\.0\.1:\d+)", line))), None)
            assert found is not None, "the S3 server did not start"
            drain.start()
            yield found
        finally:
            server.terminate()
            drain.join()


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> S3Backend:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    bucket = f"bucket-{random.randrange(1 << 60)}"
    httpx.put(f"{s3_url}/{bucket}").raise_for_status()
    return S3Backend(bucket, prefix="blobs", endpoint=s3_url, region="us-east-1")


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[IpfsNodeBackend]:
    there = create_storage_app(BlobStore(tmp_path / "node"), allow_removal=True)
    async with serve_app(there) as url:
        backend = IpfsNodeBackend(url, tmp_path / "store" / "ipfs.db")
        yield backend
        backend.close()


@pytest.fixture(params=["folder", "s3", "ipfs"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "folder":
        return FolderBackend(tmp_path / "store" / "blobs")
    found: Backend = request.getfixturevalue("s3" if request.param == "s3" else "node")
    return found


@pytest.fixture
def store(backend: Backend, tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store", backend=backend, quota_bytes=30_000_000, max_blob_bytes=25_000_000)


def roundtrip(store: BlobStore) -> None:
    small, big = store.put_bytes(SMALL), store.put_bytes(BIG)
    assert (small, big) == (cid_of(SMALL), cid_of(BIG))
    assert sorted(store.sizes()) == sorted([(small, len(SMALL)), (big, len(BIG))])
    assert store.used_bytes == len(SMALL) + len(BIG)
    assert (store.size(big), store.has(small), store.has(cid_of(b"other"))) == (len(BIG), True, False)
    assert store.read(big) == BIG
    assert store.read(big, 9_999_990, 10_000_010) == BIG[9_999_990:10_000_010]
    assert store.read(big, len(BIG) - 5) == BIG[-5:]
    store.verify(big)
    with store.open(big) as file:
        file.seek(-3, os.SEEK_END)
        assert file.read() == BIG[-3:]
    assert store.put_bytes(SMALL) == small
    assert store.used_bytes == len(SMALL) + len(BIG)


def refusals(store: BlobStore) -> None:
    store.put_bytes(BIG)
    with pytest.raises(StorageFullError):
        store.put_bytes(BIG[:15_000_000])
    with pytest.raises(ContentTooLargeError):
        store.put_bytes(BIG + BIG)
    with store.writer() as writer:
        writer.write(b"x")
        with pytest.raises(TrustError):
            writer.commit(cid_of(b"y"))
    assert [cid for cid, _ in store.sizes()] == [cid_of(BIG)]
    store.delete(cid_of(BIG))
    store.delete(cid_of(BIG))
    assert (list(store.sizes()), store.used_bytes) == ([], 0)
    for ask in (store.size, store.open, store.read, store.verify):
        with pytest.raises(ContentMissingError):
            ask(cid_of(BIG))


async def test_bytes_go_there_and_come_back(store: BlobStore, backend: Backend, tmp_path: Path) -> None:
    await anyio.to_thread.run_sync(roundtrip, store)
    again = await anyio.to_thread.run_sync(lambda: BlobStore(tmp_path / "store", backend=backend))
    assert again.used_bytes == len(SMALL) + len(BIG)


async def test_its_guarantees_hold(store: BlobStore) -> None:
    await anyio.to_thread.run_sync(refusals, store)
    assert list((store.folder / "incoming").iterdir()) == []


async def test_a_whole_service_over_it(store: BlobStore) -> None:
    app = await anyio.to_thread.run_sync(create_storage_app, store)
    async with serve_app(app) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
        added = (await http.post("/api/v0/add", params={"cid-version": "1"}, files={"file": ("f", BIG[:700_000])})).json()
        got = await http.get(f"/ipfs/{added['Hash']}", headers={"range": "bytes=262000-262999"})
        assert (got.status_code, got.content) == (206, BIG[262_000:263_000])
        assert (await http.get(f"/ipfs/{added['Hash']}")).content == BIG[:700_000]
        assert (await http.post("/v1/blobs", content=SMALL)).json()["cid"] == cid_of(SMALL)
        assert (await http.get(f"/ipfs/{cid_of(SMALL)}")).content == SMALL


class _Liar(FolderBackend):
    """A back end that keeps other bytes than those it was given."""

    def keep(self, file: Path, cid: Cid) -> None:
        file.write_bytes(b"x" * file.stat().st_size)
        super().keep(file, cid)


async def test_a_back_end_that_changes_bytes_is_found_out(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, backend=_Liar(tmp_path / "blobs"))
    cid = store.put_bytes(BIG[:600_000])
    with pytest.raises(TrustError):
        store.read(cid)
    async with serve_app(create_storage_app(store)) as url, httpx.AsyncClient(base_url=url) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"/ipfs/{cid}")


async def test_a_back_end_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        node = IpfsNodeBackend(url, tmp_path / "ipfs.db")
        with pytest.raises(UnavailableError, match="does not answer"):
            BlobStore(tmp_path, backend=node).put_bytes(SMALL)
        node.close()
        monkeypatch.setattr("voisin.storage.s3._GIVE_UP", timedelta(seconds=0))
        with pytest.raises(UnavailableError, match="does not answer") as refused:
            S3Backend("b", endpoint=url, region="us-east-1").size(cid_of(SMALL))
        assert "a-secret" not in str(refused.value)


async def test_a_wrong_bucket_or_key_is_named(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "an-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret")
    with pytest.raises(UnavailableError, match="the bucket nowhere"):
        list(S3Backend("nowhere", endpoint=s3_url, region="us-east-1").sizes())


def test_settings_choose_the_back_end(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "VOISIN_STORAGE_BACKEND": "s3",
        "VOISIN_STORAGE_FOLDER": str(tmp_path),
        "VOISIN_STORAGE_S3_BUCKET": "chosen",
        "VOISIN_STORAGE_S3_ENDPOINT": s3_url,
        "VOISIN_STORAGE_S3_REGION": "us-east-1",
        "VOISIN_STORAGE_RESULTS_KEEP_DAYS": "7",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.put(f"{s3_url}/chosen").raise_for_status()
    settings = StorageSettings()
    assert settings.rules.results_keep_s == 7 * 86_400
    with open_store(settings) as store:
        cid = store.put_bytes(SMALL)
    assert S3Backend("chosen", endpoint=s3_url, region="us-east-1").size(cid) == len(SMALL)
    with pytest.raises(ValueError, match="s3_bucket"):
        StorageSettings(s3_bucket="")
