"""The digest of an archive follows the written rules; every expected value is built here by hand."""

from __future__ import annotations

import hashlib

import pytest
from eth_utils import keccak

from voisin.errors import InputError, TrustError
from voisin.protocol.archive import ResultArchive, open_archive, pack_files
from voisin.protocol.ids import Hash32
from voisin.protocol.results import GuestFailure

FAILED = b'{"cause":"exit-code","detail":"exit code 3"}'


def opened(files: dict[str, bytes]) -> ResultArchive:
    return open_archive(pack_files(files))


def hexed(digest: bytes) -> str:
    return "0x" + digest.hex()


def test_every_file_counts_in_code_point_order() -> None:
    lines = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in [("Z.txt", b"zed"), ("a.txt", b"one"), ("sub/b.txt", b"two")]
    )
    archive = opened({"sub/b.txt": b"two", "a.txt": b"one", "Z.txt": b"zed"})
    assert archive.digest() == hexed(keccak(lines.encode()))


def test_a_fixed_archive_has_a_fixed_digest() -> None:
    # printf 'hello\n' | sha256sum gives 5891b5b5...; the digest is keccak-256 of that line, computed once with another library.
    line = b"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  hello.txt\n"
    assert opened({"hello.txt": b"hello\n"}).digest() == hexed(keccak(line))
    assert keccak(line).hex() == "723f0e640a07f1f49a751068633e384908e76f8c21bb04257cc5dcb677a0cb91"


def test_an_empty_result_has_the_digest_of_nothing() -> None:
    assert opened({}).digest() == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_a_named_file_counts_alone() -> None:
    archive = opened({"computed.json": b'{"deterministic-output-path": "/iexec_out/a.txt"}', "a.txt": b"one", "b.txt": b"noise"})
    assert archive.digest() == hexed(hashlib.sha256(b"one").digest())


def test_a_named_folder_counts_its_direct_files() -> None:
    computed = b'{"deterministic-output-path": "/iexec_out/keep"}'
    archive = opened({"computed.json": computed, "keep/a": b"one", "keep/b": b"two", "noise": b"?"})
    assert archive.digest() == hexed(keccak(hashlib.sha256(b"one").digest() + hashlib.sha256(b"two").digest()))


def test_a_callback_counts_its_data() -> None:
    archive = opened({"computed.json": b'{"callback-data": "0x00ff"}', "a.txt": b"one"})
    assert archive.digest(has_callback=True) == hexed(keccak(b"\x00\xff"))
    assert archive.callback_data() == b"\x00\xff"


def test_only_the_error_of_a_failure_counts() -> None:
    line = f"{hashlib.sha256(FAILED).hexdigest()}  error.json\n".encode()
    plain, with_logs = opened({"error.json": FAILED}), opened({"error.json": FAILED, "stdout.txt": b"a", "stderr.txt": b"b"})
    assert plain.digest() == with_logs.digest() == hexed(keccak(line))
    assert with_logs.failure() == GuestFailure("exit-code", "exit code 3")


def test_a_failed_callback_can_be_finalised() -> None:
    """The hub wants bytes whose keccak-256 is the digest, for a failure as well."""
    archive = opened({"error.json": FAILED})
    assert hexed(keccak(archive.callback_data())) == archive.digest(has_callback=True)


@pytest.mark.parametrize(
    "files",
    [
        {"error.json": FAILED, "extra.bin": b"x"},
        {"error.json": b"not json"},
        {"error.json": b"[" * 100_000},
        {"error.json": b'{"cause": 5, "detail": ""}'},
        {"error.json": b'{"cause": "\xff", "detail": ""}'},
        {"stdout.txt": b"fine"},
    ],
)
def test_a_success_cannot_be_dressed_up_as_a_failure(files: dict[str, bytes]) -> None:
    """Whatever is not exactly a failure counts in full, so nothing can be slipped in beside an error."""
    archive = opened(files)
    assert archive.failure() is None
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    assert archive.digest() == hexed(keccak(lines.encode()))


@pytest.mark.parametrize(
    "computed",
    [
        b"",
        b"[]",
        b'{"deterministic-output-path": "\xff"}',
        b'{"x": ' + b"[" * 100_000,
        b'{"deterministic-output-path": "/iexec_out/missing"}',
        b'{"deterministic-output-path": "/iexec_out/../a"}',
        b'{"deterministic-output-path": 7}',
        b'{"x": "' + b"y" * (1 << 20) + b'"}',
    ],
)
def test_a_bad_computed_file_is_refused(computed: bytes) -> None:
    archive = opened({"computed.json": computed, "a": b"one"})
    with pytest.raises(InputError, match=r"computed\.json"):
        archive.digest()


@pytest.mark.parametrize("computed", [b'{"callback-data": "0x"}', b'{"callback-data": "zz"}', b"{}", b'{"callback-data": "\xff"}'])
def test_missing_callback_data_is_refused(computed: bytes) -> None:
    archive = opened({"computed.json": computed})
    with pytest.raises(InputError):
        archive.digest(has_callback=True)
    with pytest.raises(InputError):
        archive.callback_data()


def test_another_result_is_not_taken_for_the_agreed_one() -> None:
    archive = opened({"a": b"one"})
    archive.require_digest(archive.digest())
    with pytest.raises(TrustError, match="the chain says"):
        archive.require_digest(Hash32("0x" + "11" * 32))
    with pytest.raises(TrustError, match="callback"):
        archive.require_digest(archive.digest(), has_callback=True)
