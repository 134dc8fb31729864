"""Blobs appear whole or not at all, under their own hash, within the quota; whoever is writing at the same time."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from voisin.errors import InputError, TrustError
from voisin.protocol.cid import Cid, cid_of
from voisin.storage import BlobStore, ContentMissingError, ContentTooLargeError, StorageFullError


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_bytes_come_back_under_their_hash(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    cid = store.put_bytes(b"hello world")
    assert cid == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    assert (store.read(cid), store.size(cid), store.has(cid)) == (b"hello world", 11, True)
    assert (store.read(cid, 6), store.read(cid, 2, 4), store.read(cid, 20, 30)) == (b"world", b"ll", b"")
    assert BlobStore(tmp_path).read(cid) == b"hello world"
    assert list(store.cids()) == [cid]


def test_storing_twice_changes_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert store.put_bytes(b"same") == store.put_bytes(b"same")
    assert store.used_bytes == 4
    assert len(_files(tmp_path)) == 1


def test_what_is_deleted_is_gone_but_stays_readable_for_whoever_reads(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    cid = store.put_bytes(b"gone")
    with store.open(cid) as file:
        store.delete(cid)
        assert file.read() == b"gone"
    store.delete(cid)
    assert (store.used_bytes, store.has(cid)) == (0, False)
    for ask in (store.size, store.read, store.verify):
        with pytest.raises(ContentMissingError, match=cid):
            ask(cid)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", ".", "/etc/passwd", "bafkrei/../x", "b" * 59, "x\0y"])
def test_names_that_are_no_identifiers_never_reach_the_disk(tmp_path: Path, name: str) -> None:
    store = BlobStore(tmp_path)
    for ask in (store.size, store.read, store.has, store.open, store.delete, store.verify):
        with pytest.raises(InputError):
            ask(Cid(name))


def test_an_abandoned_write_leaves_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, quota_bytes=100)
    with store.writer() as writer:
        writer.write(b"x" * 60)
        assert store.used_bytes == 60
    assert (store.used_bytes, _files(tmp_path)) == (0, [])


def test_a_wrong_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with store.writer() as writer:
        writer.write(b"wrong")
        with pytest.raises(TrustError, match="not " + cid_of(b"right")):
            writer.commit(cid_of(b"right"))
    assert (store.used_bytes, _files(tmp_path)) == (0, [])


def test_quota_and_size_hold_to_the_byte(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, quota_bytes=10, max_blob_bytes=6)
    store.put_bytes(b"123456")
    with pytest.raises(ContentTooLargeError, match="larger than 6 bytes"):
        store.put_bytes(b"1234567")
    store.put_bytes(b"1234")
    with pytest.raises(StorageFullError, match="full: 10 bytes"):
        store.put_bytes(b"1")
    store.delete(cid_of(b"1234"))
    store.put_bytes(b"1")
    assert store.used_bytes == 7
    assert BlobStore(tmp_path).used_bytes == 7


@pytest.mark.parametrize("damage", [b"hello worlD", b"hello worl", b""])
def test_damage_on_the_disk_is_noticed_and_can_be_mended(tmp_path: Path, damage: bytes) -> None:
    store = BlobStore(tmp_path)
    cid = store.put_bytes(b"hello world")
    (path,) = _files(tmp_path)
    path.write_bytes(damage)
    for ask in (store.read, store.verify):
        with pytest.raises(TrustError, match="damaged"):
            ask(cid)
    store.put_bytes(b"hello world")
    assert store.read(cid) == b"hello world"


def test_many_writers_at_once(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    blobs = [hashlib.sha256(bytes([number % 7])).digest() * 1_000 for number in range(40)]
    barrier = threading.Barrier(8)

    def put(part: int) -> list[Cid]:
        barrier.wait()
        return [store.put_bytes(blob) for blob in blobs[part::8]]

    with ThreadPoolExecutor(8) as threads:
        cids = {cid for part in threads.map(put, range(8)) for cid in part}
    assert cids == {cid_of(blob) for blob in blobs}
    assert len(cids) == 7
    assert store.used_bytes == 7 * 32_000 == sum(path.stat().st_size for path in _files(tmp_path))


def test_writers_share_the_quota(tmp_path: Path) -> None:
    store = BlobStore(tmp_path, quota_bytes=100)
    with store.writer() as first, store.writer() as second:
        first.write(b"1" * 60)
        with pytest.raises(StorageFullError):
            second.write(b"2" * 60)
        second.write(b"2" * 40)
        first.commit()
        second.commit()
    assert store.used_bytes == 100


def test_what_killed_processes_left_is_removed_in_time(tmp_path: Path) -> None:
    BlobStore(tmp_path)
    old, young = tmp_path / "incoming" / "old", tmp_path / "incoming" / "young"
    old.write_bytes(b"left behind")
    young.write_bytes(b"being written")
    os.utime(old, (0, 0))
    store = BlobStore(tmp_path)
    assert (old.exists(), young.exists(), store.used_bytes) == (False, True, 0)


def test_files_are_stored_without_holding_them_in_memory(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"0123456789abcdef" * 100_000)
    store = BlobStore(tmp_path / "store")
    cid = store.put_file(source)
    assert cid == cid_of(source.read_bytes())
    store.verify(cid)
    with pytest.raises(InputError, match="cannot read"):
        store.put_file(tmp_path / "none")
    with pytest.raises(InputError, match="no bytes from 3 to 2"):
        store.read(cid, 3, 2)
