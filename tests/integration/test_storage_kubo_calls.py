"""The calls of an IPFS node's interface: what is refused and how, forms that nobody meant well, trees that lie."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from tests.support.guests import until
from tests.support.nights import examples
from voisin.protocol.dagpb import Link, Node, encode_node, field_bytes, field_number
from voisin.protocol.ipld import Codec, Name, name_of
from voisin.service.serving import serve_app
from voisin.storage import BlobStore, create_storage_app

pytestmark = pytest.mark.anyio
V0 = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
HELLO = b"hello world\n"


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path, quota_bytes=3_000_000, max_blob_bytes=2_000_000)


@pytest.fixture
def app(store: BlobStore) -> Litestar:
    return create_storage_app(store)


@pytest.fixture
async def http(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://storage") as client:
        yield client


async def put(http: httpx.AsyncClient, block: bytes, codec: str) -> Name:
    """Store a block as a node's clients do."""
    answer = await http.post("/api/v0/block/put", params={"cid-codec": codec}, files={"data": ("", block)})
    name = name_of(block, Codec.DAG_PB if codec == "dag-pb" else Codec.RAW)
    assert answer.json() == {"Key": str(name), "Size": len(block)}
    return name


def part(sizes: list[tuple[Name, int]]) -> bytes:
    """Write a part of a file that says of its links what it likes."""
    body = field_number(1, 2) + field_number(3, sum(size for _, size in sizes)) + b"".join(field_number(4, size) for _, size in sizes)
    return encode_node(Node(tuple(Link(name, "", size) for name, size in sizes), body))


async def test_found_by_its_hash_under_every_name(http: httpx.AsyncClient) -> None:
    added = (await http.post("/api/v0/add", files={"file": ("", HELLO)})).json()
    assert added == {"Name": V0, "Hash": V0, "Size": "20"}
    version1 = "bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby"
    for name in (V0, version1, version1.upper(), f"{V0}/"):
        assert (await http.get(f"/ipfs/{name}")).content == HELLO
    block = bytes.fromhex("0a120802120c") + HELLO + bytes.fromhex("180c")
    for name in (f"{V0}?format=raw", str(name_of(block, Codec.RAW))):
        assert (await http.get(f"/ipfs/{name}")).content == block
    blob = name_of(b"a result", Codec.RAW)  # on the chain it loses its codec, and comes back as a CID of version 0
    await http.post("/v1/blobs", content=b"a result")
    assert (await http.get(f"/ipfs/{Name(blob.digest, Codec.DAG_PB, 0)}")).content == b"a result"


async def test_folders_and_paths(http: httpx.AsyncClient) -> None:
    files = [("file", ("d%2F%3Cb%3E", b"1")), ("file", ("d/e/f", b"2"))]
    lines = [json.loads(line) for line in (await http.post("/api/v0/add?cid-version=1", files=files)).text.splitlines()]
    assert [line["Name"] for line in lines] == ["d/<b>", "d/e/f", "d/e", "d"]
    root = lines[-1]["Hash"]
    assert (await http.get(f"/ipfs/{root}/e/f")).content == b"2"
    page = await http.get(f"/ipfs/{root}")
    assert "&lt;b&gt;</a>" in page.text
    assert "<b>" not in page.text
    assert page.headers["content-security-policy"] == "sandbox"
    head = await http.head(f"/ipfs/{root}")
    assert (head.content, head.headers["content-length"]) == (b"", str(len(page.content)))
    assert (await http.get(f"/ipfs/{root}/e", headers={"if-none-match": f'"{lines[2]["Hash"]}"'})).status_code == 304
    for path, status in ((f"{root}/none", 404), (f"{root}/e/f/g", 400), (f"{root}/" + "e/" * 65, 400), (f"{root}?format=car", 400)):
        assert (await http.get(f"/ipfs/{path}")).status_code == status


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (f"cat?arg={V0}", 404, "not stored here"),
        ("cat", 400, "arguments"),
        (f"cat?arg={V0}&arg={V0}", 400, "one argument"),
        ("cat?arg=nonsense", 400, "not a content identifier"),
        (f"cat?arg={V0}&offset=-1", 400, "whole number"),
        (f"block/get?arg={V0}", 404, "not stored here"),
        (f"block/stat?arg={V0}", 404, "not stored here"),
        (f"pin/add?arg={V0}", 404, "not stored here"),
        (f"pin/ls?arg={V0}", 404, "not stored here"),
        (f"pin/rm?arg={V0}", 409, "nobody unpin"),
        (f"block/rm?arg={V0}", 409, "nobody unpin"),
        ("add", 400, "multipart"),
        ("add?cid-version=2", 400, "version 2"),
        ("add?raw-leaves=maybe", 400, "neither true nor false"),
        ("add?chunker=rabin", 400, "cut by"),
        ("add?chunker=size-1", 400, "chunks have"),
        ("add?hash=sha3-512", 400, "sha2-256"),
        ("add?inline=true", 400, "inline"),
        ("block/put?cid-codec=dag-cbor", 400, "stored as one of"),
        ("dag/get?arg=x", 400, "command not found: dag/get"),
        ("files/ls", 400, "command not found: files/ls"),
    ],
)
async def test_refusals_have_the_form_of_a_node(http: httpx.AsyncClient, call: str, status: int, words: str) -> None:
    answer = await http.post(f"/api/v0/{call}")
    assert answer.status_code == status
    assert answer.json() == {"Message": answer.json()["Message"], "Code": 1, "Type": "error"}
    assert words in answer.json()["Message"]


async def test_too_much_is_refused_and_swept_later(http: httpx.AsyncClient, store: BlobStore) -> None:
    large = await http.post("/api/v0/add", files={"file": ("f", bytes(2_000_001))})
    assert (large.status_code, "larger than" in large.json()["Message"]) == (413, True)
    files = [("file", (str(number), random.Random(number).randbytes(1_500_000))) for number in range(3)]
    full = await http.post("/api/v0/add", files=files)
    assert (full.status_code, full.json()["Code"]) == (507, 0)
    block = await http.post("/api/v0/block/put", files={"data": ("", b"\x0a\x80\x80\x80\x01" + bytes(2 << 20))}, params={"format": "v0"})
    assert block.status_code == 413
    several = await http.post("/api/v0/block/put", files=[("data", ("", b"1")), ("data", ("", b"2"))])
    assert (several.status_code, "several blocks" in several.json()["Message"]) == (400, True)


async def test_an_addition_that_breaks_off_is_swept_at_the_next_start(store: BlobStore) -> None:
    async with serve_app(create_storage_app(store)) as url:
        host, port = url.removeprefix("http://").split(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = f"POST /api/v0/add HTTP/1.1\r\nhost: {host}\r\ncontent-length: 9999999\r\n"
            head += "content-type: multipart/form-data; boundary=x\r\n\r\n"
            form = '--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
            await stream.send(head.encode() + form.encode() + bytes(600_000))
            await until(lambda: bool(list(store.cids())))
    async with serve_app(create_storage_app(store)):
        await until(lambda: not list(store.cids()))
    assert store.used_bytes == 0


async def test_trees_that_lie_are_refused_or_cut_off(store: BlobStore) -> None:
    async with serve_app(create_storage_app(store)) as url, httpx.AsyncClient(base_url=url) as http:
        leaf, missing = await put(http, b"four", "raw"), name_of(b"missing", Codec.RAW)
        lying = await put(http, part([(leaf, 5)]), "dag-pb")
        late = await put(http, part([(leaf, 4), (missing, 4)]), "dag-pb")
        bomb = name_of(b"", Codec.RAW)
        for _ in range(20):  # 300 ** 20 parts, none of which has a byte
            bomb = await put(http, part([(bomb, 0)] * 300), "dag-pb")
        deep = leaf
        for _ in range(20):
            deep = await put(http, part([(deep, 4)]), "dag-pb")
        wide = await put(http, part([(leaf, 4)] * 8_000), "dag-pb")
        for name, status in ((lying, 403), (deep, 400), (name_of(b"none", Codec.DAG_PB), 404)):
            assert (await http.get(f"/ipfs/{name}")).status_code == status
        assert (await http.head(f"/ipfs/{late}")).headers["content-length"] == "8"
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(f"/ipfs/{late}")
        assert (await http.get(f"/ipfs/{late}", headers={"range": "bytes=0-3"})).content == b"four"
        assert (await http.get(f"/ipfs/{bomb}")).content == b""
        assert (await http.get(f"/ipfs/{wide}", headers={"range": "bytes=31998-31999"})).content == b"ur"
        assert (await http.post(f"/api/v0/pin/add?arg={late}")).status_code == 404
        assert (await http.get("/v1/health")).status_code == 200


async def test_downloads_that_break_off_hold_nothing(tmp_path: Path) -> None:
    app = create_storage_app(BlobStore(tmp_path))
    async with serve_app(app) as url, httpx.AsyncClient(base_url=url) as http:
        data = random.Random(5).randbytes(8_000_000)
        cid = (await http.post("/api/v0/add", files={"file": ("", data)})).json()["Hash"]
        for _ in range(10):
            async with http.stream("GET", f"/ipfs/{cid}") as response:
                await anext(response.aiter_raw(1_000))
        await until(lambda: not app.state.library._readers)
        assert (await http.get(f"/ipfs/{cid}")).content == data


async def test_a_long_blob_is_no_part_of_a_file(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_storage_app(store)), base_url="http://storage") as http:
        await http.post("/v1/blobs", content=bytes(3_000_000))
        root = await put(http, part([(name_of(bytes(3_000_000), Codec.RAW), 3_000_000)]), "dag-pb")
        answer = await http.get(f"/ipfs/{root}")
        assert (answer.status_code, "too many for a part" in answer.json()["detail"]) == (400, True)


async def test_removal_where_it_is_allowed(store: BlobStore) -> None:
    app = create_storage_app(store, allow_removal=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://storage") as http:
        cid = (await http.post("/api/v0/add", files={"file": ("", HELLO)})).json()["Hash"]
        assert (await http.post(f"/api/v0/block/rm?arg={cid}")).json() == {"Hash": cid, "Error": "pinned: recursive"}
        assert (await http.post("/api/v0/pin/ls")).json() == {"Keys": {cid: {"Type": "recursive"}}}
        assert (await http.post(f"/api/v0/pin/rm?arg={cid}")).json() == {"Pins": [cid]}
        assert (await http.post(f"/api/v0/pin/rm?arg={cid}")).status_code == 400
        assert (await http.post(f"/api/v0/block/rm?arg={cid}")).json() == {"Hash": cid}
        assert (await http.get(f"/ipfs/{cid}")).status_code == 404
    assert store.used_bytes == 0


HEADER = b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
pieces = st.sampled_from(
    [b"--x", b"--x--", b"\r\n", b"\r", b"\n", HEADER, b'a/b"\r\n\r\n', b'..%2f"\r\n\r\n', b'%ff"\r\n\r\n', b'a"\r\nContent-Type: ',
     b"application/x-directory\r\n\r\n", b"application/symlink\r\n\r\n", b"bytes", b"\0", b'"', b"%"]
)  # fmt: skip


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.lists(pieces | st.binary(max_size=20), max_size=12).map(b"".join),
    kind=st.sampled_from(["multipart/form-data; boundary=x", "multipart/form-data; boundary=", "multipart/form-data", "text/plain", ""]),
    call=st.sampled_from(["add", "add?wrap-with-directory=true", "block/put", "block/put?format=v0", "add?only-hash=true"]),
)
@example(body=HEADER + b"a" * 5_000 + b'"\r\n\r\n--x--', kind="multipart/form-data; boundary=x", call="add")
@example(body=(HEADER + b'a"\r\n\r\n\r\n') * 3 + b"--x--", kind="multipart/form-data; boundary=x", call="add")
@example(body=HEADER + b"a/" * 100 + b'"\r\n\r\n\r\n--x--', kind="multipart/form-data; boundary=x", call="add")
def test_no_form_breaks_it(app: Litestar, body: bytes, kind: str, call: str) -> None:
    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.post(f"http://storage/api/v0/{call}", headers={"content-type": kind}, content=body)

    response = anyio.run(send)
    assert response.status_code in (200, 400, 413)
    if response.status_code != 200:
        assert response.json()["Type"] == "error"


@settings(max_examples=examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    block=st.binary(max_size=60) | st.lists(st.builds(field_number, st.integers(1, 6), st.integers(0, 300))).map(b"".join),
    is_data=st.booleans(),
)
def test_no_block_breaks_it(app: Litestar, block: bytes, is_data: bool) -> None:
    made = field_bytes(1, block) if is_data else block

    async def send() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://storage") as http:
            stored = await http.post("/api/v0/block/put?cid-codec=dag-pb", files={"data": ("", made)})
            if stored.status_code != 200:
                return [stored.status_code]
            cid = stored.json()["Key"]
            asked = [await http.get(f"/ipfs/{cid}"), await http.get(f"/ipfs/{cid}/a"), await http.post(f"/api/v0/cat?arg={cid}")]
            return [answer.status_code for answer in asked]

    assert set(anyio.run(send)) <= {200, 400, 403, 404}
