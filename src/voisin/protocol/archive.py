"""
The archive of a result: a ZIP of the app's output folder, written so that equal files give equal bytes and read as an enemy's.

Writing: names sorted, times fixed, each file deflated or, where that gains nothing, stored. Reading refuses what could harm
(names that leave the folder, links, encrypted or overlapping members, more bytes or files than allowed), so that a name that
came out of an archive may be used as a path below a folder. Nothing here touches a disk: bytes and file objects are handed in.

Whether an archive describes a failure of its app is decided by its contents alone, the same way for worker, pool and client:
it holds `error.json`, and beside it at most the two logs.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from voisin.errors import InputError, TrustError
from voisin.protocol import results
from voisin.protocol.ids import Hash32
from voisin.protocol.results import COMPUTED_FILE, ERROR_FILE, STDERR_FILE, STDOUT_FILE, GuestFailure

Opener = Callable[[], BinaryIO]
"""Opens a file for reading, from its start; whoever calls it closes it."""

MAX_NAME_BYTES: Final = 255
MAX_PATH_BYTES: Final = 4_096
MAX_DESCRIPTION_BYTES: Final = 1 << 20
"""Longest `computed.json` or `error.json` that is looked at [bytes]."""

_CHUNK = 1 << 20
_SAMPLE = 1 << 16
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR = (stat.S_IFREG | 0o644) << 16
_FAILURE_FILES = {ERROR_FILE, STDOUT_FILE, STDERR_FILE}
_END = struct.Struct("<4s4H2LH")  # signature, disks, entries here and in all, size and offset of the directory, comment
_NAME_SIZES = struct.Struct("<3H")  # name, extra field, comment
_ENTRY_SIZE, _NAME_SIZES_AT, _ZIP64_LOCATOR_SIZE = 46, 28, 20
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """
    What an archive may hold.

    Attributes:
        unpacked_bytes: Size of all files together.
        files: Number of files and folders.
        directory_bytes: Size of the list of names at the archive's end.
    """

    unpacked_bytes: int = 1 << 30
    files: int = 10_000
    directory_bytes: int = 16 << 20


DEFAULT_LIMITS: Final = ArchiveLimits()


def check_path(path: str) -> str:
    """
    Make sure that a file's path is safe below any folder, and unambiguous in a digest.

    Args:
        path: Relative, with `/` between folders.

    Returns:
        The path itself.

    Raises:
        InputError: It is absolute, empty, too long, not plain text, or a part of it is empty, `.` or `..`.
    """
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise InputError(f"the file name {path[:80]!r} is not UTF-8") from None
    parts = path.split("/")
    if size > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise InputError(f"the file name {path[:80]!r}... is too long", hint=f"a name has at most {MAX_NAME_BYTES} bytes")
    if any(part in ("", ".", "..") for part in parts):
        raise InputError(f"the file name {path!r} leaves its folder or has an empty part", hint="use relative names, without . and ..")
    if "\\" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise InputError(f"the file name {path!r} has a backslash or a control character", hint="use printable names")
    return path


# --- writing ---------------------------------------------------------------------------------------------------------


def write_archive(target: BinaryIO, files: Mapping[str, Opener]) -> dict[str, bytes]:
    """
    Write an archive.

    Args:
        target: Where it goes; must be seekable.
        files: For each path inside, how to open the file.

    Returns:
        The SHA-256 of each file, as `digest_of_files` wants them.

    Raises:
        InputError: A name is not safe, or a name is a file and a folder at the same time.
    """
    _check_tree(files)
    hashes = {}
    with zipfile.ZipFile(target, "w", allowZip64=False) as archive:
        for path, open_file in sorted(files.items()):
            with open_file() as source:
                hashes[path] = _write_member(archive, path, source)
    return hashes


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """
    Write an archive of files that are in memory.

    Raises:
        InputError: A name is not safe, or a name is a file and a folder at the same time.
    """
    target = io.BytesIO()
    write_archive(target, {path: _opener(data) for path, data in files.items()})
    return target.getvalue()


def _opener(data: bytes) -> Opener:
    return lambda: io.BytesIO(data)


def _write_member(archive: zipfile.ZipFile, path: str, source: BinaryIO) -> bytes:
    sample = source.read(_SAMPLE)
    info = zipfile.ZipInfo(path, _EPOCH)
    info.create_system, info.external_attr = 3, _REGULAR
    info.compress_type = zipfile.ZIP_DEFLATED if _shrinks(sample) else zipfile.ZIP_STORED
    digest = hashlib.sha256(sample)
    with archive.open(info, "w") as member:
        member.write(sample)
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            member.write(chunk)
    return digest.digest()


def _shrinks(sample: bytes) -> bool:
    return len(zlib.compress(sample, 1)) < 0.9 * len(sample)


def _check_tree(paths: Mapping[str, object]) -> None:
    for path in paths:
        parts = check_path(path).split("/")
        above = next(("/".join(parts[:depth]) for depth in range(1, len(parts)) if "/".join(parts[:depth]) in paths), None)
        if above is not None:
            raise InputError(f"{above!r} is a file and a folder at the same time")


# --- reading ---------------------------------------------------------------------------------------------------------


class ResultArchive:
    """
    An archive that was found safe to read. Made by `open_archive`.

    Attributes:
        sizes: For each file, its path and its size [bytes], sorted by path.
    """

    def __init__(self, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self._archive = archive
        self._members = dict(sorted(members.items()))
        self.sizes: Mapping[str, int] = {path: member.file_size for path, member in self._members.items()}
        self._hashes: dict[str, bytes] | None = None

    def chunks(self, path: str) -> Iterator[bytes]:
        """
        Read a file piece by piece.

        Raises:
            InputError: There is no such file, or its bytes are damaged.
        """
        if path not in self._members:
            raise InputError(f"the result has no file {path!r}", hint=f"it has {', '.join(list(self.sizes)[:10]) or 'no files'}")
        try:
            with self._archive.open(self._members[path]) as member:
                while chunk := member.read(_CHUNK):
                    yield chunk
        except _BROKEN as error:
            raise _malformed(f"{path}: {error}") from None

    def read(self, path: str) -> bytes:
        """
        Read a whole file.

        Raises:
            InputError: There is no such file, or its bytes are damaged.
        """
        return b"".join(self.chunks(path))

    def hashes(self) -> Mapping[str, bytes]:
        """
        Hash every file with SHA-256.

        Raises:
            InputError: A file's bytes are damaged.
        """
        if self._hashes is None:
            hashes = {}
            for path in self.sizes:
                digest = hashlib.sha256()
                for chunk in self.chunks(path):
                    digest.update(chunk)
                hashes[path] = digest.digest()
            self._hashes = hashes
        return self._hashes

    def failure(self) -> GuestFailure | None:
        """Say why the app failed; None when it succeeded."""
        return failure_of(self.sizes, self._small(ERROR_FILE))

    def digest(self, *, has_callback: bool = False) -> Hash32:
        """
        Digest the result as its workers did.

        Args:
            has_callback: Whether the deal has a callback.

        Raises:
            InputError: A file is damaged, or `computed.json` is malformed.
        """
        computed = self._small(COMPUTED_FILE)
        return digest_of_files(self.hashes(), computed=computed, is_failure=self.failure() is not None, has_callback=has_callback)

    def callback_data(self) -> bytes:
        """
        Give the bytes that the deal's callback gets; their keccak-256 is the digest of a deal with a callback.

        Raises:
            InputError: The app succeeded and wrote none.
        """
        if self.failure() is not None:
            return failure_callback(self.hashes()[ERROR_FILE])
        try:
            return results.callback_data(self._small(COMPUTED_FILE) or b"{}")
        except _UNREADABLE:
            raise InputError("computed.json is malformed") from None

    def require_digest(self, digest: Hash32, *, has_callback: bool = False) -> None:
        """
        Make sure that this is the result that a digest on the chain speaks of.

        Args:
            digest: The agreed digest.
            has_callback: Whether the deal has a callback.

        Raises:
            TrustError: It is another result.
        """
        try:
            found = self.digest(has_callback=has_callback)
        except InputError as error:
            raise TrustError(f"the result does not have the digest on the chain: {error.message}") from None
        if found != digest:
            raise TrustError(f"the result has digest {found}, and the chain says {digest}", hint="whoever stored it replaced the result")

    def _small(self, path: str) -> bytes | None:
        return self.read(path) if self.sizes.get(path, MAX_DESCRIPTION_BYTES + 1) <= MAX_DESCRIPTION_BYTES else None


def open_archive(source: BinaryIO | bytes, limits: ArchiveLimits = DEFAULT_LIMITS) -> ResultArchive:
    """
    Open an archive that anybody may have made.

    Args:
        source: Its bytes, or a seekable file that stays open as long as the archive is used.
        limits: What it may hold.

    Raises:
        InputError: It is not a ZIP file, is larger than the limits, or could do harm.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        packed_bytes = _check_directory(file, limits)
        archive = zipfile.ZipFile(file)
        ordinary = [member for member in archive.infolist() if not member.filename.endswith("/")]
        members = {_check_member(member): member for member in ordinary}
    except _BROKEN as error:
        raise _malformed(str(error)) from None
    if len(members) != len(ordinary):
        raise _malformed("two files have the same name")
    _check_tree(members)
    unpacked = sum(member.file_size for member in members.values())
    if unpacked > limits.unpacked_bytes:
        raise InputError(f"the result unpacks to {unpacked} bytes, more than the {limits.unpacked_bytes} allowed", hint="raise the limit")
    if sum(member.compress_size for member in members.values()) > packed_bytes:
        raise _malformed("its files overlap")
    return ResultArchive(archive, members)


def unpack_files(data: bytes, limits: ArchiveLimits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """
    Read all files of an archive into memory.

    Raises:
        InputError: It is not a ZIP file, is larger than the limits, or could do harm.
    """
    archive = open_archive(data, limits)
    return {path: archive.read(path) for path in archive.sizes}


def _malformed(why: str) -> InputError:
    return InputError(f"the result's archive is malformed: {why}")


def _check_directory(file: BinaryIO, limits: ArchiveLimits) -> int:
    """Count the names before anything is made of them; answers the size of what lies before the directory [bytes]."""
    size = file.seek(0, io.SEEK_END)
    if size < _END.size:
        raise _malformed("it is not a ZIP file")
    tail = min(size, _END.size + _ZIP64_LOCATOR_SIZE)
    file.seek(size - tail)
    ending = file.read(tail)
    signature, *_, directory_bytes, before, comment_bytes = _END.unpack(ending[-_END.size :])
    if signature != b"PK\5\6" or comment_bytes or ending[: -_END.size].startswith(b"PK\6\7"):
        raise _malformed("it does not end as a plain ZIP file does")
    if directory_bytes > limits.directory_bytes or before + directory_bytes + _END.size != size:
        raise _malformed("its list of names is too long, or not where it should be")
    file.seek(before)
    entries = _count_entries(file.read(directory_bytes))
    if entries > limits.files:
        raise InputError(f"the result has {entries} files, more than the {limits.files} allowed", hint="raise the limit")
    return int(before)


def _count_entries(directory: bytes) -> int:
    entries = place = 0
    while place + _ENTRY_SIZE <= len(directory):
        place += _ENTRY_SIZE + sum(_NAME_SIZES.unpack_from(directory, place + _NAME_SIZES_AT))
        entries += 1
    return entries


def _check_member(member: zipfile.ZipInfo) -> str:
    """Refuse what is not an ordinary file; answers its path."""
    if member.orig_filename != member.filename:
        raise _malformed(f"the name {member.orig_filename[:80]!r} is cut off")
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _malformed(f"{member.filename[:80]!r} is encrypted or compressed in an unknown way")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise _malformed(f"{member.filename[:80]!r} is not an ordinary file")
    return check_path(member.filename)


# --- digests ---------------------------------------------------------------------------------------------------------


def failure_of(paths: Mapping[str, object], error: bytes | None) -> GuestFailure | None:
    """
    Decide whether files are those of a failed app.

    Args:
        paths: The paths of all files.
        error: The bytes of `error.json`, if there is one.

    Returns:
        Why it failed; None for the result of a success.
    """
    if error is None or not _FAILURE_FILES.issuperset(paths):
        return None
    try:
        return msgspec.json.decode(error, type=GuestFailure)
    except _UNREADABLE:
        return None


def digest_of_files(files: Mapping[str, bytes], *, computed: bytes | None, is_failure: bool, has_callback: bool) -> Hash32:
    """
    Digest files by the rule that applies to them.

    Args:
        files: For each file, its path and the SHA-256 of its bytes.
        computed: The bytes of `computed.json`, if there is one.
        is_failure: Whether `failure_of` found a failure.
        has_callback: Whether the deal has a callback.

    Raises:
        InputError: `computed.json` is malformed, longer than `MAX_DESCRIPTION_BYTES`, or misses what the deal needs.
    """
    if not is_failure and computed is None and COMPUTED_FILE in files:
        raise InputError(f"computed.json is longer than {MAX_DESCRIPTION_BYTES} bytes")
    try:
        return results.result_digest(files, computed=computed, is_failure=is_failure, has_callback=has_callback)
    except _UNREADABLE:
        raise InputError("computed.json is malformed") from None


def failure_callback(error_sha256: bytes) -> bytes:
    """
    Give the bytes that a callback gets when its app failed: the line under the digest of a failure.

    The hub takes only bytes whose keccak-256 is the agreed digest, so without them a failed task could never be finalised.

    Args:
        error_sha256: SHA-256 of `error.json`.
    """
    return f"{error_sha256.hex()}  {ERROR_FILE}\n".encode()
