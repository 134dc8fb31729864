"""The enclave as a program: what it says first, when it refuses to be one, that it ends with its worker, and what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from voisin.enclave.memory import Hold, Place, is_memory, require_memory
from voisin.enclave.program import EnclaveSettings
from voisin.enclave.words import LENGTH, Begun, FromEnclave, Refused, Show, Shown, decode_from_enclave
from voisin.errors import InputError, StateError
from voisin.protocol.codec import encode
from voisin.protocol.consent import VaultId
from voisin.protocol.evidence import SimulatedEvidence
from voisin.protocol.ids import Hash32, TaskId, as_address

PROGRAM = [sys.executable, "-m", "voisin.enclave"]
VOISIN = [sys.executable, "-m", "voisin"]
ADDRESS = as_address("0x" + "12" * 20)
VAULT = VaultId(vault=ADDRESS, chain_id=1, hub=ADDRESS)
SHOW = Show(task_id=TaskId(Hash32("0x" + "34" * 32)), worker=ADDRESS, challenge=ADDRESS, vault=VAULT)
PATIENCE_S = 60.0


def heard(read: Callable[[int], bytes]) -> FromEnclave:
    """Read one message."""
    (size,) = LENGTH.unpack(read(LENGTH.size))
    return decode_from_enclave(read(size))


def said(message: object) -> bytes:
    body = encode(message)
    return LENGTH.pack(len(body)) + body


@pytest.fixture
def enclave() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*PROGRAM, "--simulated"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_it_shows_a_fresh_key_and_what_it_is(enclave: subprocess.Popen[bytes]) -> None:
    assert enclave.stdin is not None
    assert enclave.stdout is not None
    begun = heard(enclave.stdout.read)
    assert isinstance(begun, Begun)
    assert len(begun.session_key) == 66
    enclave.stdin.write(said(SHOW) + said(SHOW))
    enclave.stdin.flush()
    assert [heard(enclave.stdout.read) for _ in range(2)] == [Shown(SimulatedEvidence())] * 2
    enclave.stdin.close()
    assert enclave.wait(PATIENCE_S) == 0, "its worker is gone"


def test_nonsense_ends_it(enclave: subprocess.Popen[bytes]) -> None:
    assert enclave.stdin is not None
    assert enclave.stdout is not None
    heard(enclave.stdout.read)
    enclave.stdin.write(LENGTH.pack(4) + b"what")
    enclave.stdin.flush()
    assert isinstance(heard(enclave.stdout.read), Refused)
    assert enclave.wait(PATIENCE_S) == 0


def test_without_hardware_it_is_no_real_enclave(tmp_path: Path) -> None:
    done = subprocess.run([*PROGRAM, "--report-folder", str(tmp_path / "none")], capture_output=True, text=True, check=False, input="")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gives no evidence" in done.stderr or "writes memory to" in done.stderr or "file system in memory" in done.stderr
    assert "--simulated" in done.stderr or "swapping" in done.stderr or "tmpfs" in done.stderr


def test_a_real_one_takes_no_compiled_code_and_writes_to_no_disk(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="compiled code"):
        EnclaveSettings(cache=tmp_path)
    with pytest.raises(StateError, match="file system in memory"):
        require_memory(Place(tmp_path, Hold.DISK))
    assert not is_memory(tmp_path / "deep")


def test_what_this_machine_has_is_said() -> None:
    done = subprocess.run([*VOISIN, "enclave", "check", "--json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert {each["what"] for each in found["findings"]} == {"system", "reports", "devices", "files in memory", "swapping", "evidence"}
    assert found["can_be_real"] is all(each["is_good"] for each in found["findings"])


def test_each_connection_is_an_enclave_of_its_own(tmp_path: Path) -> None:
    address = tmp_path / "enclave.sock"
    command = [*VOISIN, "enclave", "run", "--simulated", "--listen", f"unix:{address}", "--slots", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready: unix:")
        assert address.stat().st_mode & 0o077 == 0
        keys = set()
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as worker, worker.makefile("rb") as source:
                worker.settimeout(PATIENCE_S)
                worker.connect(str(address))
                begun = heard(source.read)
                assert isinstance(begun, Begun)
                keys.add(begun.session_key)
                worker.sendall(said(SHOW))
                assert heard(source.read) == Shown(SimulatedEvidence())
        assert len(keys) == 3
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=PATIENCE_S)
        assert server.returncode == 0
        assert "SIMULATED" in errors


def test_a_killed_enclave_leaves_nothing_in_shared_memory(enclave: subprocess.Popen[bytes]) -> None:
    assert enclave.stdout is not None
    before = set(Path("/dev/shm").iterdir())
    heard(enclave.stdout.read)
    os.kill(enclave.pid, signal.SIGKILL)
    enclave.wait(PATIENCE_S)
    left = {path for path in set(Path("/dev/shm").iterdir()) - before if "voisin-enclave" in path.name}
    assert all(path.name == f"voisin-enclave-{os.getuid()}" for path in left), "a folder for all of this account, if memory is not private"


@pytest.mark.parametrize("address", ["tcp:1", "unix:", "vsock:x", "nowhere"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    done = subprocess.run([*VOISIN, "enclave", "run", "--simulated", "--listen", address], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no address to listen on" in done.stderr
