"""Where an app or dataset lies, and what it must hash to: the two things that its entry on the chain says of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from voisin.errors import InputError, TrustError
from voisin.protocol.cid import Cid, cid_from_digest, digest_of
from voisin.protocol.ids import ZERO_HASH, Hash32, from_hex
from voisin.protocol.ipld import Codec, Name, name_from_bytes, parse_name
from voisin.storage.fetching import fetch_file
from voisin.worker.ports import Storage, Web

_P2P: Final = b"\xa5\x03"
"""How the binary form of `/ipfs/...` and `/p2p/...` begins: the number 421 of both as an unsigned varint."""


@dataclass(frozen=True)
class Content:
    """
    Some content.

    Attributes:
        name: Where it lies: one block, or a tree of them.
        sha256: What all of it hashes to; None when nobody said so, and then the name alone vouches for it.
    """

    name: Name
    sha256: bytes | None

    @property
    def cid(self) -> Cid:
        """Under which address it is kept here."""
        return cid_from_digest(self.sha256 or self.name.digest)


def blob(cid: Cid) -> Content:
    """Describe content that is stored as one blob."""
    return Content(Name(digest_of(cid), Codec.RAW), digest_of(cid))


def entry_content(multiaddr: bytes, checksum: Hash32) -> Content | None:
    """
    Read what the entry of an app or dataset says of its content.

    Args:
        multiaddr: Where it lies.
        checksum: Its SHA-256; zero when that is not said.

    Returns:
        The content; None when it lies elsewhere than in content-addressed storage.
    """
    name = content_address(multiaddr)
    return None if name is None else Content(name, None if checksum == ZERO_HASH else from_hex(checksum))


@dataclass(frozen=True)
class WebContent:
    """
    Content that lies on the web, where nothing but its hash vouches for it.

    Attributes:
        url: Where it lies.
        sha256: What it hashes to.
    """

    url: str
    sha256: bytes

    async def fetch(self, web: Web, target: Path, *, max_bytes: int) -> int:
        """
        Fetch it into a file, which appears only when all of it is there and right; answers its size [bytes].

        Raises:
            TrustError: What lies there has another hash.
            VoisinError: As the web does.
        """
        partial = target.with_name(f"{target.name}.part")
        try:
            size = await web.fetch(self.url, partial, max_bytes=max_bytes)
            await anyio.to_thread.run_sync(_require_hash, partial, self.sha256)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return size


def web_content(multiaddr: bytes, checksum: Hash32) -> WebContent | None:
    """
    Read an entry whose content lies on the web.

    Returns:
        The content; None when it lies elsewhere, or its entry does not say what it hashes to.
    """
    if checksum == ZERO_HASH or not multiaddr.startswith((b"http://", b"https://")):
        return None
    return WebContent(multiaddr.decode(errors="replace"), from_hex(checksum))


def content_address(multiaddr: bytes) -> Name | None:
    """
    Read where an entry says that its content lies; None unless it is `/ipfs/<cid>`, `ipfs://<cid>`, a CID, or the binary form.

    The binary form keeps the hash alone: whether it names one blob or the root of a tree is seen when it is fetched.

    Source: client-surface.md 2.
    """
    try:
        if multiaddr.startswith(_P2P):
            hashed = multiaddr[len(_P2P) + 1 :]
            return name_from_bytes(hashed) if multiaddr[len(_P2P) : len(_P2P) + 1] == bytes([len(hashed)]) else None
        text = multiaddr.decode()
        return parse_name(text.removeprefix("ipfs://").removeprefix("/ipfs/").removeprefix("/p2p/"))
    except (InputError, UnicodeDecodeError, ValueError):
        return None


async def fetch_content(content: Content, storage: Storage, target: Path, *, max_bytes: int) -> int:
    """
    Fetch content into a file.

    Args:
        content: What.
        storage: Where from.
        target: Where to; it appears only when all of it is there and right.
        max_bytes: The most that is taken.

    Returns:
        Its size [bytes].

    Raises:
        TrustError: What lies there has another hash.
        VoisinError: As storage does.
    """
    if content.sha256 == content.name.digest:
        return await storage.get_file(content.cid, target, max_bytes=max_bytes)
    size = await fetch_file(storage, content.name, (), target, max_bytes=max_bytes)
    if content.sha256 is not None:
        await anyio.to_thread.run_sync(_require_hash, target, content.sha256)
    return size


def _require_hash(path: Path, sha256: bytes) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").digest()
    if found != sha256:
        path.unlink()
        raise TrustError(f"it hashes to {found.hex()}, and its entry says {sha256.hex()}")
