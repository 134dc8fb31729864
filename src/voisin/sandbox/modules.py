"""
Compiled modules: made once by a child that can do nothing else, kept by the hash of the source.

A compiled module is machine code, so one that somebody else made must never be loaded. The folder is ours alone, and each file carries
a keyed hash (BLAKE2b) that is checked before a process is told to load it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import platform
import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from voisin.errors import InputError

ENGINE_REVISION = 1
"""Raised whenever the engine's settings in `voisin.sandbox.engine` change."""
_KEY_BYTES = 32
_MAC_BYTES = 32
_CHUNK_BYTES = 1 << 20


class CompiledModules:
    """
    The folder of compiled modules. All methods block for short disk work.

    Args:
        folder: Created when missing, for this user alone.

    Attributes:
        folder: Where the files are. Sandbox processes may read all of it, so the key lies beside it.

    Raises:
        InputError: The folder belongs to somebody else, or the engine is not installed.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid != os.getuid():
            raise InputError(f"the folder {folder} of compiled modules belongs to another user", hint="choose another cache folder")
        folder.chmod(0o700)
        self.folder = folder / "compiled"
        self.folder.mkdir(exist_ok=True, mode=0o700)
        try:
            self._engine = f"wasmtime {version('wasmtime')} {platform.machine()} revision {ENGINE_REVISION}"
        except PackageNotFoundError:
            raise InputError("running apps needs the package wasmtime", hint="install Voisin with the extra: voisin[worker]") from None
        self._key = _load_key(folder / "key")
        self._verified: dict[Path, tuple[int, int, int]] = {}

    def path(self, module_sha256: str, *, canonical_nan: bool) -> Path:
        """
        Say where a compiled module is kept.

        Args:
            module_sha256: Hash of the source.
            canonical_nan: Whether it makes every NaN the same.

        Returns:
            The path; the file need not exist.
        """
        recipe = f"{self._engine} nan {int(canonical_nan)} {module_sha256}"
        return self.folder / f"{hashlib.sha256(recipe.encode()).hexdigest()}.cwasm"

    def has(self, path: Path) -> bool:
        """
        Check that a compiled module is there and is what we wrote; one that is not is removed.

        Args:
            path: As `path` says.

        Returns:
            Whether a process may load it.
        """
        try:
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                mark = (status.st_ino, status.st_size, status.st_mtime_ns)
                if self._verified.get(path) == mark:
                    return True
                is_ours = hmac.compare_digest(self._mac(file.fileno()), self._mac_path(path).read_bytes())
        except FileNotFoundError:
            return False
        if is_ours:
            self._verified[path] = mark
        else:
            self.drop(path)
        return is_ours

    def keep(self, made: Path, path: Path) -> None:
        """
        Take in what a compiling child made.

        Args:
            made: The file; it is moved.
            path: Where it is kept from now on.
        """
        descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            mac = self._mac(descriptor)
        finally:
            os.close(descriptor)
        temporary = path.with_suffix(f".{secrets.token_hex(8)}")
        temporary.write_bytes(mac)
        temporary.rename(self._mac_path(path))
        made.rename(path)

    def drop(self, path: Path) -> None:
        """
        Forget a compiled module.

        Args:
            path: As `path` says.
        """
        self._verified.pop(path, None)
        path.unlink(missing_ok=True)
        self._mac_path(path).unlink(missing_ok=True)

    def _mac_path(self, path: Path) -> Path:
        return path.with_suffix(".mac")

    def _mac(self, descriptor: int) -> bytes:
        mac = hashlib.blake2b(key=self._key, digest_size=_MAC_BYTES)
        offset = 0
        while chunk := os.pread(descriptor, _CHUNK_BYTES, offset):
            mac.update(chunk)
            offset += len(chunk)
        return mac.digest()


def _load_key(path: Path) -> bytes:
    """Read the key of the keyed hash; the first one to need it makes it."""
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise InputError(f"{path} is damaged", hint="remove it and the compiled modules beside it; both are made anew")
    return key


def _make_key(path: Path) -> None:
    temporary = path.with_suffix(f".{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
    try:
        os.link(temporary, path)
    except FileExistsError:
        return  # somebody else was first: theirs counts
    finally:
        temporary.unlink()
