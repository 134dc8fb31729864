"""Where entries say that content lies, in every spelling of foreign clients, and what is believed of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from voisin.errors import InputError, TrustError, VoisinError
from voisin.protocol.cid import cid_of, digest_of
from voisin.protocol.ids import ZERO_HASH, Hash32
from voisin.protocol.ipld import Codec, Name, parse_name
from voisin.protocol.unixfs import FileTree, Layout
from voisin.worker.content import Content, WebContent, blob, content_address, entry_content, fetch_content, web_content
from voisin.worker.memory_world import MemoryStorage, MemoryWeb

CID = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
SHA256 = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
RAW = Name(SHA256, Codec.RAW)
LOST = Name(SHA256, Codec.DAG_PB, 0)
"""A name of which only the hash is left."""


@pytest.mark.parametrize(
    ("multiaddr", "name"),
    [
        (f"/ipfs/{CID}".encode(), RAW),
        (f"ipfs://{CID}".encode(), RAW),
        (CID.encode(), RAW),
        (str(LOST).encode(), LOST),
        (f"/p2p/{LOST}".encode(), LOST),
        (b"\xa5\x03\x22\x12\x20" + SHA256, LOST),
        (b"\xa5\x03\x24\x01\x55\x12\x20" + SHA256, RAW),
        (b"\xa5\x03\x22\x12\x20" + SHA256 + b"\0", None),
        (b"\xa5\x03\x21\x12\x20" + SHA256, None),
        (b"\xa5\x03\x22\x12\x20", None),
        (b"\xa5\x03", None),
        (b"/ipfs/", None),
        (f"/ipfs/{CID}/app.wasm".encode(), None),
        (f"https://ipfs.io/ipfs/{CID}".encode(), None),
        (b"registry.example/app:1", None),
        (b"", None),
    ],
)
def test_content_addresses(multiaddr: bytes, name: Name | None) -> None:
    assert content_address(multiaddr) == name


def test_a_checksum_of_zero_says_nothing() -> None:
    assert entry_content(CID.encode(), ZERO_HASH) == Content(RAW, None)
    assert entry_content(CID.encode(), Hash32("0x" + SHA256.hex())) == blob(RAW.cid)


def tree(storage: MemoryStorage, data: bytes) -> Name:
    """Store data as `ipfs add` does by default; answers the name that lost its codec on the chain."""
    making = FileTree(Layout(version=0, has_raw_leaves=False))
    for start in range(0, len(data), 1 << 18):
        for block in making.add(data[start : start + (1 << 18)]):
            storage.add(block.block)
    for block in making.finish():
        storage.add(block.block)
    return parse_name(str(making.root.name))


@pytest.mark.anyio
@pytest.mark.parametrize("size", [11, 600_000])
async def test_content_of_a_tree_is_held_against_its_checksum(tmp_path: Path, size: int) -> None:
    storage, data, target = MemoryStorage(), (b"some data. " * size)[:size], tmp_path / "content"
    name = tree(storage, data)
    content = Content(name, hashlib.sha256(data).digest())
    assert await fetch_content(content, storage, target, max_bytes=1 << 20) == size
    assert target.read_bytes() == data
    assert content.cid == cid_of(data)
    with pytest.raises(TrustError):
        await fetch_content(Content(name, SHA256), storage, tmp_path / "other", max_bytes=1 << 20)
    assert not (tmp_path / "other").exists()


@pytest.mark.anyio
async def test_a_blob_is_found_by_a_name_that_lost_its_codec(tmp_path: Path) -> None:
    storage, data = MemoryStorage(), b"\0asm\1\0\0\0"
    cid = storage.add(data)
    lost = Name(digest_of(cid), Codec.DAG_PB, 0)
    await fetch_content(Content(lost, None), storage, tmp_path / "app", max_bytes=100)
    assert (tmp_path / "app").read_bytes() == data


def test_entries_on_the_web_need_a_checksum() -> None:
    checksum = Hash32("0x" + SHA256.hex())
    assert web_content(b"https://example.org/rows", checksum) == WebContent("https://example.org/rows", SHA256)
    assert web_content(b"http://example.org/rows", checksum) == WebContent("http://example.org/rows", SHA256)
    assert web_content(b"https://example.org/rows", ZERO_HASH) is None
    assert web_content(b"ftp://example.org/rows", checksum) is None
    assert web_content(CID.encode(), checksum) is None


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("page", "max_bytes", "error"),
    [(b"rows", 4, None), (b"rows", 3, InputError), (b"more rows", 100, TrustError), (b"", 100, TrustError)],
)
async def test_what_lies_on_the_web_comes_whole_and_right_or_not_at_all(
    page: bytes, max_bytes: int, error: type[VoisinError] | None, tmp_path: Path
) -> None:
    url, target = "https://example.org/rows", tmp_path / "rows"
    web, content = MemoryWeb({url: page}), WebContent(url, hashlib.sha256(b"rows").digest())
    if error is None:
        assert await content.fetch(web, target, max_bytes=max_bytes) == len(page)
        assert target.read_bytes() == page
    else:
        with pytest.raises(error):
            await content.fetch(web, target, max_bytes=max_bytes)
    assert names(tmp_path) == ([] if error else ["rows"])
