"""The storage's HTTP face: caching, ranges, uploads that break off, and requests that nobody meant well."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.guests import until
from tests.support.nights import examples
from voisin.protocol.cid import cid_of
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, create_storage_app

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 4_000
CID = cid_of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    store = BlobStore(tmp_path / "store", quota_bytes=3_000_000, max_blob_bytes=2_000_000)
    store.put_bytes(DATA)
    return store


@pytest.fixture
async def http(store: BlobStore) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_storage_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://storage") as client:
        yield client


async def test_a_blob_is_served_for_ever(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/ipfs/{CID}", headers={"accept": "application/zip"})
    assert (response.status_code, response.content) == (200, DATA)
    expected = {
        "etag": f'"{CID}"',
        "cache-control": "public, max-age=31536000, immutable",
        "accept-ranges": "bytes",
        "content-length": "1024000",
        "content-type": "application/octet-stream",
        "x-content-type-options": "nosniff",
        "content-security-policy": "sandbox",
    }
    assert {name: response.headers[name] for name in expected} == expected


async def test_head_says_the_same_without_the_bytes(http: httpx.AsyncClient) -> None:
    got, asked = await http.get(f"/ipfs/{CID}"), await http.head(f"/ipfs/{CID}")
    assert (asked.status_code, asked.content) == (200, b"")
    assert dict(asked.headers) == dict(got.headers)


@pytest.mark.parametrize("tag", [f'"{CID}"', f'W/"{CID}"', "*", f'"other", "{CID}"'])
async def test_what_the_client_has_is_not_sent_again(http: httpx.AsyncClient, tag: str) -> None:
    response = await http.get(f"/ipfs/{CID}", headers={"if-none-match": tag})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", f'"{CID}"')
    assert (await http.get(f"/ipfs/{CID}", headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-0", DATA[:1], "bytes 0-0/1024000"),
        ("bytes=300000-900000", DATA[300_000:900_001], "bytes 300000-900000/1024000"),
        ("bytes=1023999-", DATA[-1:], "bytes 1023999-1023999/1024000"),
        ("bytes=-5", DATA[-5:], "bytes 1023995-1023999/1024000"),
        ("bytes=-9999999", DATA, "bytes 0-1023999/1024000"),
        ("bytes=1000000-9999999", DATA[1_000_000:], "bytes 1000000-1023999/1024000"),
    ],
)
async def test_a_range_is_served(http: httpx.AsyncClient, header: str, expected: bytes, content_range: str) -> None:
    response = await http.get(f"/ipfs/{CID}", headers={"range": header})
    assert (response.status_code, response.content) == (206, expected)
    assert (response.headers["content-range"], response.headers["content-length"]) == (content_range, str(len(expected)))


async def test_ranges_that_cannot_or_must_not_be_served(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/ipfs/{CID}", headers={"range": "bytes=1024000-"})
    assert (response.status_code, response.headers["content-range"]) == (416, "bytes */1024000")
    assert response.json()["code"] == "range-not-satisfiable"
    for headers in ({"range": "bytes=0-1,4-5"}, {"range": "bytes=0-1", "if-range": '"other"'}):
        response = await http.get(f"/ipfs/{CID}", headers=headers)
        assert (response.status_code, len(response.content)) == (200, len(DATA))


async def test_an_upload_is_stored_under_its_hash(http: httpx.AsyncClient, store: BlobStore) -> None:
    response = await http.post("/v1/blobs", content=b"hello world")
    cid = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    assert (response.status_code, response.json()) == (201, {"cid": cid, "size": 11})
    assert store.read(cid_of(b"hello world")) == b"hello world"
    assert (await http.post("/v1/blobs", content=b"")).json()["size"] == 0


@pytest.mark.parametrize(
    ("query", "body", "status", "code"),
    [
        (f"?cid={CID}", b"other bytes", 403, "not-proven"),
        ("?cid=nonsense", b"x", 400, "bad-input"),
        ("?cid=", b"x", 400, "bad-input"),
        ("", b"x" * 2_000_001, 413, "content-too-large"),
        ("", b"x" * 1_999_999, 507, "storage-full"),
    ],
)
async def test_a_bad_upload_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, store: BlobStore, query: str, body: bytes, status: int, code: str
) -> None:
    response = await http.post(f"/v1/blobs{query}", content=body)
    problem = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["hint"]
    assert (list(store.cids()), store.used_bytes) == ([CID], len(DATA))


async def test_a_body_without_a_length_is_counted_as_it_comes(http: httpx.AsyncClient, store: BlobStore) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000

    store.quota_bytes = None
    response = await http.post("/v1/blobs", content=endless())
    assert response.status_code == 413
    assert list(store.cids()) == [CID]


async def test_an_upload_that_breaks_off_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    async with serve_app(create_storage_app(store)) as url:
        host, port = url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /v1/blobs HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000000\r\n\r\n"
            await stream.send(head.encode() + b"x" * 500_000)
            await until(lambda: store.used_bytes > len(DATA))
        await until(lambda: store.used_bytes == len(DATA))
        async with httpx.AsyncClient(base_url=url) as client:
            assert (await client.get("/v1/health")).status_code == 200
    incoming = tmp_path / "store" / "incoming"
    assert list(incoming.iterdir()) == []


async def test_a_download_that_breaks_off_harms_nobody(store: BlobStore) -> None:
    async with serve_app(create_storage_app(store)) as url, httpx.AsyncClient(base_url=url) as client:
        for _ in range(5):
            async with client.stream("GET", f"/ipfs/{CID}") as response:
                await anext(response.aiter_raw(1_000))
        assert (await client.get(f"/ipfs/{CID}")).content == DATA


async def test_health_says_how_full_it_is(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/health")).json() == {
        "status": "ok",
        "used_bytes": len(DATA),
        "quota_bytes": 3_000_000,
        "max_blob_bytes": 2_000_000,
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/ipfs", 404),
        ("GET", "/ipfs/..%2f..%2f..%2fetc%2fpasswd", 400),
        ("GET", "/ipfs/%2e%2e", 400),
        ("GET", "/ipfs/bafkrei", 400),
        ("GET", f"/ipfs/b{CID[1:].upper()}", 400),
        ("GET", f"/ipfs/{cid_of(b'missing')}", 404),
        ("HEAD", f"/ipfs/{cid_of(b'missing')}", 404),
        ("DELETE", f"/ipfs/{CID}", 405),
        ("PUT", f"/ipfs/{CID}", 405),
        ("GET", "/v1/blobs", 405),
    ],
)
async def test_wrong_requests_get_problems(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await http.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    if method != "HEAD":
        assert json.loads(response.content)["status"] == status


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PATCH"]),
    path=st.lists(st.sampled_from(["ipfs", "v1", "blobs", "health", CID, "..", "%2e%2e", "%00", "%ff", "é", ""]), max_size=4),
    header=st.sampled_from(["range", "if-none-match", "if-range", "content-length", "accept", "content-type"]),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    body=st.binary(max_size=50),
)
def test_no_request_breaks_it(store: BlobStore, method: str, path: list[str], header: str, value: str, body: bytes) -> None:
    transport = httpx.ASGITransport(create_storage_app(store))

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, "http://storage/" + "/".join(path), headers={header: value}, content=body)

    response = anyio.run(send)
    assert response.status_code < 500
    assert store.has(CID)
