"""The query of a call of kubo's interface, read strictly where it changes what comes out."""

from __future__ import annotations

import re

from litestar.datastructures import MultiDict

from voisin.errors import InputError
from voisin.protocol.ipld import Codec, Name, parse_name
from voisin.protocol.unixfs import CHUNK_BYTES, Layout
from voisin.storage.adding import AddOptions
from voisin.storage.catalog import Keep

MAX_ARGUMENTS = 100
MAX_PATH_PARTS = 64
_LEAST_CHUNK_BYTES, _MOST_CHUNK_BYTES = 1 << 10, 1 << 20
_TRUE, _FALSE = {"1", "t", "T", "true", "TRUE", "True"}, {"0", "f", "F", "false", "FALSE", "False"}
_CHUNKER = re.compile(r"size-([0-9]{1,9})", re.ASCII)
_CODECS = {"raw": (Codec.RAW, 1), "dag-pb": (Codec.DAG_PB, 1), "protobuf": (Codec.DAG_PB, 1), "v0": (Codec.DAG_PB, 0)}
_UNKNOWN = (
    "trickle", "nocopy", "fscache", "inline", "preserve-mode", "preserve-mtime", "mode", "mtime", "mtime-nsecs", "to-files",
    "max-file-links", "max-directory-links", "max-hamt-fanout",
)  # fmt: skip
"""What would change the identifiers or do something else than adding."""


class Options:
    """
    The parameters of a call.

    Args:
        query: As they came.
    """

    def __init__(self, query: MultiDict[str]) -> None:
        self._query = query

    def flag(self, name: str, *, default: bool = False) -> bool:
        """
        Read a yes or no.

        Raises:
            InputError: It is neither.
        """
        text = self._query.get(name)
        if text is None or text in _TRUE | _FALSE:
            return default if text is None else text in _TRUE
        raise InputError(f"{name}={text[:40]!r} is neither true nor false")

    def number(self, name: str, default: int) -> int:
        """
        Read a whole number from 0 on.

        Raises:
            InputError: It is none.
        """
        text = self._query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise InputError(f"{name}={text[:40]!r} is no whole number")
        return int(text)

    def arguments(self, *, allow_none: bool = False) -> list[str]:
        """
        Read what the call is about.

        Raises:
            InputError: It is missing, or too much.
        """
        found = self._query.getall("arg", [])
        if (not found and not allow_none) or len(found) > MAX_ARGUMENTS:
            raise InputError(f"the call has {len(found)} arguments", hint=f"give from 1 to {MAX_ARGUMENTS} as arg=...")
        return found

    def argument(self) -> str:
        """
        Read the one thing that the call is about.

        Raises:
            InputError: It is missing, or there are several.
        """
        found = self.arguments()
        if len(found) > 1:
            raise InputError("the call takes one argument", hint="make one call for each")
        return found[0]

    def how_to_add(self) -> AddOptions:
        """
        Read how `add` is to be done; kubo's defaults are ours.

        Raises:
            InputError: It asks for what is not done here.
        """
        for name in _UNKNOWN:
            if self._query.get(name) not in (None, "", *_FALSE):
                raise InputError(f"this storage does not know the option {name}", hint="add without it")
        version = self.number("cid-version", 0)
        if version not in (0, 1):
            raise InputError(f"there is no CID version {version}", hint="give 0 or 1")
        if self._query.get("hash", "sha2-256") != "sha2-256":
            raise InputError("this storage hashes with sha2-256 only", hint="add without the option hash")
        layout = Layout(version, self.flag("raw-leaves", default=version == 1), self._chunk_bytes())
        return AddOptions(
            layout,
            keep=Keep.PINNED if self.flag("pin", default=True) else Keep.LOOSE,
            is_wrapped=self.flag("wrap-with-directory"),
            is_only_hashed=self.flag("only-hash"),
        )

    def block_codec(self) -> tuple[Codec, int]:
        """
        Read as what `block/put` is to store: codec and version of the name.

        Raises:
            InputError: It is not known here.
        """
        codec = self._query.get("format") or self._query.get("cid-codec") or "raw"
        if (
            codec not in _CODECS
            or self._query.get("mhtype", "sha2-256") != "sha2-256"
            or self._query.get("mhlen", "-1") not in ("-1", "32")
        ):
            raise InputError(f"blocks are stored as one of {', '.join(_CODECS)}, with sha2-256", hint="give cid-codec=raw")
        found, version = _CODECS[codec]
        return found, version if self._query.get("version", "1") != "0" or found is Codec.RAW else 0

    def _chunk_bytes(self) -> int:
        text = self._query.get("chunker") or "default"
        match = _CHUNKER.fullmatch(text)
        if match is None and text != "default":
            raise InputError(f"files are not cut by {text[:40]!r}", hint="give chunker=size-262144")
        size = int(match[1]) if match else CHUNK_BYTES
        if not _LEAST_CHUNK_BYTES <= size <= _MOST_CHUNK_BYTES:
            raise InputError(f"chunks have from {_LEAST_CHUNK_BYTES} to {_MOST_CHUNK_BYTES} bytes, not {size}")
        return size


def read_path(text: str) -> tuple[Name, list[str]]:
    """
    Read the path of something that is stored: `/ipfs/<cid>/a/b`, or without the first part.

    Raises:
        InputError: It is none.
    """
    root, *path = text.removeprefix("/ipfs/").strip("/").split("/")
    return parse_name(root), checked_path(path)


def checked_path(path: list[str]) -> list[str]:
    """
    Check the names below a root.

    Raises:
        InputError: They are too many.
    """
    if len(path) > MAX_PATH_PARTS:
        raise InputError(f"a path has up to {MAX_PATH_PARTS} parts, not {len(path)}")
    return path
