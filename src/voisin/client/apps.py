"""Apps as callers name them: a `.wasm` file, a folder with an `app.toml`, or the address of a registered app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voisin.chain import Chain
from voisin.client.terms import TaskSpec
from voisin.errors import InputError
from voisin.protocol.cid import cid_of
from voisin.protocol.ids import Address, Hash32, as_address, to_hex
from voisin.protocol.manifest import AppManifest, load_manifest
from voisin.protocol.records import AppInfo
from voisin.protocol.results import sha256

APP_TYPE = "WASM"
MANIFEST_FILE = "app.toml"
AppReference = str | os.PathLike[str]
"""An app as callers name it: a path, or an address."""

_MAGIC = b"\0asm"


@dataclass(frozen=True, slots=True)
class AppFile:
    """An app on disk: its name, its module, and its manifest if it has one."""

    name: str
    module: bytes
    manifest: AppManifest | None


@dataclass(frozen=True, slots=True)
class TargetApp:
    """
    An app to run.

    Attributes:
        address: Its entry, or where its entry will be.
        info: What the entry says, or will say.
        is_registered: Whether the entry exists.
        file: The app on disk, if that is how it was named.
    """

    address: Address
    info: AppInfo
    is_registered: bool
    file: AppFile | None


def read_app(path: Path) -> AppFile:
    """
    Read an app from disk.

    Args:
        path: A `.wasm` file, or a folder with an `app.toml`.

    Raises:
        InputError: There is none, it is no WebAssembly module, or its manifest is malformed.
    """
    if path.is_dir():
        manifest = load_manifest(_read(path / MANIFEST_FILE, "an app's folder has an app.toml"))
        return AppFile(manifest.name, _module(path / manifest.module), manifest)
    return AppFile(path.stem, _module(path), None)


def expand_app(file: AppFile, params: Mapping[str, str]) -> tuple[TaskSpec, ...]:
    """
    Make the tasks that an app's manifest derives from parameters, for example one for each of `frame=0..23`.

    Args:
        file: The app.
        params: Parameters by name.

    Raises:
        InputError: The app has no manifest, or the parameters do not suit it.
    """
    if file.manifest is None:
        if params:
            raise InputError(f"{file.name} has no {MANIFEST_FILE} to say what {next(iter(params))!r} means", hint="give plain arguments")
        return (TaskSpec(),)
    return tuple(TaskSpec(args) for args in file.manifest.expand(params))


def app_info(owner: Address, file: AppFile) -> AppInfo:
    """Say what the registry's entry of an app on disk is."""
    return AppInfo(
        owner=owner,
        name=file.name,
        type=APP_TYPE,
        multiaddr=f"/ipfs/{cid_of(file.module)}".encode(),
        checksum=Hash32(to_hex(sha256(file.module))),
        mrenclave=b"",
    )


async def find_app(chain: Chain, owner: Address, reference: AppReference) -> TargetApp:
    """
    Find out which app a caller means.

    Args:
        chain: The chain.
        owner: Who would own the app if it had to be registered.
        reference: A path, or the address of a registered app.

    Raises:
        InputError: There is no such file or app.
    """
    if isinstance(reference, str) and reference.startswith("0x"):
        address = as_address(reference)
        if not await chain.registries.is_app(address):
            raise InputError(f"{address} is not a registered app", hint="see `voisin app list`, or give the path of a .wasm file")
        return TargetApp(address, await chain.registries.app(address), True, None)
    file = read_app(Path(reference))
    info = app_info(owner, file)
    address = await predicted(chain, info)
    return TargetApp(address, info, await chain.registries.is_app(address), file)


async def predicted(chain: Chain, info: AppInfo) -> Address:
    """Tell where an app's entry is, or will be."""
    return await chain.registries.predict_app(info.owner, info.name, info.type, info.multiaddr, info.checksum, info.mrenclave)


def _module(path: Path) -> bytes:
    module = _read(path, "give a .wasm file, a folder with an app.toml, or the address of a registered app")
    if not module.startswith(_MAGIC):
        raise InputError(f"{path} is not a WebAssembly module", hint="compile the program for WASI preview 1")
    return module


def _read(path: Path, hint: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint=hint) from None
