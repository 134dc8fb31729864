"""A run's outcome becomes an archive with the digest that the written rules give, and nothing but regular files gets into it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from eth_utils import keccak

from voisin.protocol.archive import unpack_files
from voisin.protocol.results import GuestFailure
from voisin.sandbox import Cause, Outcome
from voisin.sandbox.packing import Packed, pack_failure, pack_run


def lines(**files: bytes) -> str:
    """The digest of a whole result, spelled out."""
    text = "".join(f"{hashlib.sha256(data).hexdigest()}  {name.replace('_', '.')}\n" for name, data in sorted(files.items()))
    return "0x" + keccak(text.encode()).hex()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


def packed(output: Path, outcome: Outcome | None = None, *, has_callback: bool = False) -> tuple[Packed, dict[str, bytes]]:
    target = output.parent / "result.zip"
    result = pack_run(outcome or Outcome(cause=None), output, target, has_callback=has_callback)
    assert not list(output.parent.glob("*.part"))
    return result, unpack_files(target.read_bytes())


def test_files_and_logs_make_the_result(output: Path) -> None:
    (output / "a.txt").write_bytes(b"one")
    result, files = packed(output, Outcome(cause=None, stdout=b"said", stderr=b""))
    assert files == {"a.txt": b"one", "stdout.txt": b"said"}
    assert (result.digest, result.failure, result.callback_data) == (lines(a_txt=b"one", stdout_txt=b"said"), None, b"")


def test_an_apps_own_stdout_file_is_kept(output: Path) -> None:
    (output / "stdout.txt").write_bytes(b"mine")
    assert packed(output, Outcome(cause=None, stdout=b"printed"))[1] == {"stdout.txt": b"mine"}


def test_links_are_left_out(output: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"key")
    (output / "link").symlink_to(secret)
    (output / "folder").symlink_to(tmp_path)
    (output / "real").write_bytes(b"x")
    assert packed(output)[1] == {"real": b"x"}


def test_an_absent_output_folder_is_an_empty_result(tmp_path: Path) -> None:
    assert packed(tmp_path / "nothing")[1] == {}


def test_a_failure_names_its_cause(output: Path) -> None:
    result, files = packed(output, Outcome(cause=Cause.EXIT_CODE, exit_code=3, detail="exit code 3", stderr=b"trouble"))
    assert files == {"error.json": b'{"cause":"exit-code","detail":"exit code 3"}', "stderr.txt": b"trouble"}
    assert result.failure == GuestFailure("exit-code", "exit code 3")
    assert result.digest == lines(error_json=b'{"cause":"exit-code","detail":"exit code 3"}')


def test_an_app_that_says_it_failed_has_failed(output: Path) -> None:
    """The contents decide, for the worker as for everybody who checks later: an app may report its own failure."""
    (output / "error.json").write_bytes(b'{"cause":"mine","detail":"because"}')
    result, _ = packed(output, Outcome(cause=None, stdout=b"noise"))
    assert result.failure == GuestFailure("mine", "because")
    assert result.digest == lines(error_json=b'{"cause":"mine","detail":"because"}')


def test_a_failure_without_a_run(tmp_path: Path) -> None:
    failure = GuestFailure("bad-request", "no such thing")
    result = pack_failure(failure, tmp_path / "result.zip", has_callback=True)
    error = b'{"cause":"bad-request","detail":"no such thing"}'
    line = f"{hashlib.sha256(error).hexdigest()}  error.json\n".encode()
    assert (result.failure, result.callback_data) == (failure, line)
    assert result.digest == "0x" + keccak(line).hex()


def test_a_callback_result(output: Path) -> None:
    (output / "computed.json").write_bytes(b'{"callback-data": "0x01"}')
    result, _ = packed(output, has_callback=True)
    assert (result.digest, result.callback_data) == ("0x" + keccak(b"\x01").hex(), b"\x01")


def test_output_in_folders(output: Path) -> None:
    (output / "a" / "b").mkdir(parents=True)
    (output / "empty").mkdir()
    (output / "a" / "b" / "c.bin").write_bytes(b"deep")
    assert packed(output)[1] == {"a/b/c.bin": b"deep"}
