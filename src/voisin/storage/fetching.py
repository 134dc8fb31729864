"""Fetching files that are stored as trees of blocks, or lie in folders, without believing the server: every block is checked."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from voisin.errors import InputError
from voisin.protocol.cid import Cid
from voisin.protocol.dagpb import MAX_NODE_BYTES
from voisin.protocol.ipld import Codec, Name
from voisin.protocol.unixfs import Kind, read_entry
from voisin.protocol.walk import FileWalk
from voisin.storage.faults import ContentMissingError, ContentTooLargeError


class Blobs(Protocol):
    """Storage that hands out what was checked against its address; `StorageClient` is one."""

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Fetch a blob into memory."""
        ...

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """Fetch a blob into a file; answers its size [bytes]."""
        ...


async def fetch_file(storage: Blobs, name: Name, path: Sequence[str], target: Path, *, max_bytes: int) -> int:
    """
    Fetch a file, which appears only when all of it is there and right.

    A name that lost its codec on its way, `Qm...` for what was stored as one blob, gives that blob: its hash is the same.

    Args:
        storage: Where it lies.
        name: The file, or a folder.
        path: The way to the file inside the folder.
        target: Where it goes; a file that is there is replaced.
        max_bytes: The most that is taken.

    Returns:
        Its size [bytes].

    Raises:
        InputError: It is more than `max_bytes`, no file, or `target` cannot be written.
        TrustError: The storage sent other bytes, or the tree lies.
        UnavailableError: It does not answer, or does not have them (`ContentMissingError`).
    """
    for part in path:
        name = await _step(storage, name, part)
    if name.codec is Codec.RAW or not await _is_node(storage, name):
        return await storage.get_file(name.cid, target, max_bytes=max_bytes)
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}")
    try:
        size = await _walk(storage, name, temporary, max_bytes)
        os.replace(temporary, target)  # noqa: PTH105  one name for another, on the same disk
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}", hint="check the path and the room on the disk") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size


async def _walk(storage: Blobs, name: Name, temporary: Path, max_bytes: int) -> int:
    walk, size = FileWalk(name), 0
    with temporary.open("wb") as file:
        while (wanted := walk.wanted()) is not None:
            data = walk.feed(await storage.get_bytes(wanted.name.cid, max_bytes=MAX_NODE_BYTES))
            size += len(data)
            if size > max_bytes:
                raise ContentTooLargeError(f"{name} is larger than {max_bytes} bytes", hint="allow more, if you trust where it comes from")
            await anyio.to_thread.run_sync(file.write, data)
        await anyio.to_thread.run_sync(os.fsync, file.fileno())
    return size


async def _step(storage: Blobs, name: Name, part: str) -> Name:
    entry = read_entry(await storage.get_bytes(name.cid, max_bytes=MAX_NODE_BYTES)) if name.codec is Codec.DAG_PB else None
    if entry is None or entry.kind is not Kind.FOLDER:
        raise InputError(f"{name} is not a folder", hint="shorten the path")
    found = next((link.name for link in entry.links if link.label == part), None)
    if found is None:
        raise ContentMissingError(f"there is no {part[:80]!r} in the folder {name}", hint="check the path")
    return found


async def _is_node(storage: Blobs, name: Name) -> bool:
    try:
        entry = read_entry(await storage.get_bytes(name.cid, max_bytes=MAX_NODE_BYTES))
    except InputError:  # too long for a node, or none
        return False
    if entry.kind is Kind.FOLDER:
        labels = ", ".join(link.label for link in entry.links[:20])
        raise InputError(f"{name} is a folder", hint=f"name a file inside it: {labels}" if labels else "it is empty")
    return True
