"""Guests see their two folders and nothing else; and if the engine itself had a hole, its process would still be walled in."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guests import ROOT, Bench, tighter
from voisin.errors import InputError

pytestmark = pytest.mark.anyio


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    (folder / "folder").mkdir(parents=True)
    (folder / "folder" / "given.txt").write_text("given")
    (folder / "zero").touch()
    return folder


async def test_a_program_that_uses_files_well_is_served_well(bench: Bench, inputs: Path) -> None:
    outcome = await bench.run("files", inputs=inputs)
    assert (outcome.cause, outcome.stderr, outcome.stdout) == (None, b"", b"all as expected\n")
    left = {path.relative_to(bench.output).as_posix(): path.read_bytes() for path in bench.output.rglob("*") if path.is_file()}
    assert left == {"g/b.txt": b"", "right": b"left"}
    assert (outcome.output_files, outcome.output_bytes) == (3, 4)


async def test_every_way_out_is_closed(bench: Bench, inputs: Path) -> None:
    (inputs / "given.txt").write_text("given")
    (inputs / "planted").symlink_to("/etc/passwd")
    (inputs / "planted-folder").symlink_to("/etc")
    os.mkfifo(inputs / "pipe")
    outcome = await bench.run("escape", inputs=inputs)
    assert (outcome.cause, outcome.exit_code) == (None, 0), outcome.stdout.decode()
    tried = outcome.stdout.decode().splitlines()
    assert len(tried) == 19
    assert not [line for line in tried if line.endswith("WORKED")]
    assert list(bench.output.iterdir()) == []
    assert (inputs / "given.txt").read_text() == "given"
    assert not (inputs / "new.txt").exists()


async def test_inputs_stay_as_they_are_and_links_stay_out(bench: Bench, inputs: Path) -> None:
    (inputs / "link").symlink_to(inputs / "zero")
    outcome = await bench.run("fortune", inputs=inputs)
    assert outcome.cause is None
    listed = [line.split()[0] for line in (bench.output / "fortune.txt").read_text().splitlines()[5:7]]
    assert listed == ["folder", "zero"]


async def test_bad_jobs_are_refused_before_anything_starts(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    good = bench.job("noop")
    many = tmp_path / "many"
    many.mkdir()
    for number in range(501):
        (many / str(number)).touch()
    for changes, reason in [
        ({"output_dir": tmp_path / "full"}, "not empty"),
        ({"module": tmp_path / "none.wasm"}, "no module"),
        ({"module_sha256": "00"}, "64 lower-case hex digits"),
        ({"input_dir": tmp_path / "none"}, "no input folder"),
        ({"input_dir": many}, "more than 500 files"),
        ({"args": ("a\0b",)}, "NUL"),
        ({"args": ("x" * 200_000,)}, "larger than 131072 bytes"),
        ({"env": {"": "x"}}, "bad name"),
        ({"env": {"A=B": "x"}}, "bad name"),
        ({"limits": tighter(memory_bytes=5 << 30)}, "at most 4 GiB"),
        ({"limits": tighter(time_s=0)}, "positive"),
        ({"limits": tighter(output_bytes=-1)}, "positive"),
        ({"clock_unix_s": -1}, "clock"),
    ]:
        fields = {**vars(good), **changes}
        with pytest.raises(InputError, match=reason):
            await bench.sandbox.run(type(good)(**fields))  # type: ignore[arg-type]
    await bench.still_works()


def _walls() -> str:
    """Which walls this system has, asked for in another way than the code under test does."""
    if sys.platform != "linux":
        return "rlimits"
    version = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1)  # landlock_create_ruleset: which version?
    has_seccomp = "Seccomp_filters" in Path("/proc/self/status").read_text()
    return "rlimits" + (" landlock" if version > 0 else "") + (" seccomp" if has_seccomp else "")


async def test_all_walls_that_the_system_has_stand(bench: Bench) -> None:
    await bench.still_works()
    (child,) = bench.sandbox._children
    assert " ".join(child.layers) == _walls()


ESCAPE_ATTEMPTS = """
import ctypes, os, socket, subprocess, sys
from pathlib import Path
from voisin.sandbox import confine

secret, readable = Path(sys.argv[1]), Path(sys.argv[2])
print(*confine.enter(readable))

def attempt(name, action):
    try:
        action()
    except OSError as error:
        print(name, "refused")
    else:
        print(name, "WORKED")

libc = ctypes.CDLL(None, use_errno=True)

def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

attempt("read", secret.read_bytes)
attempt("write", lambda: secret.write_bytes(b""))
attempt("list", lambda: os.listdir(secret.parent))
attempt("create", lambda: (secret.parent / "new").touch())
attempt("remove", secret.unlink)
attempt("change-readable", lambda: (readable / "module").write_bytes(b"other"))
attempt("add-readable", lambda: (readable / "new").touch())
attempt("link", lambda: Path("link").symlink_to(secret))
attempt("hard-link", lambda: os.link(secret, "link"))
attempt("move-in", lambda: secret.rename("moved"))
attempt("pipe", lambda: os.mkfifo("pipe"))
attempt("tcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("fork", os.fork)
attempt("execute", lambda: os.execv("/bin/true", ["true"]))
attempt("start", lambda: subprocess.run(["/bin/true"]))
attempt("kill", lambda: os.kill(os.getppid(), 0))
attempt("ptrace", lambda: call(101 if os.uname().machine == "x86_64" else 117, 16, os.getppid(), 0, 0))
attempt("namespace", lambda: call(272 if os.uname().machine == "x86_64" else 97, 0x10000000))
print("own folder", Path("own").write_bytes(b"own"), Path("own").read_bytes())
Path("folder").mkdir()
Path("own").rename("folder/own")
print("module", (readable / "module").read_bytes())
"""


@pytest.mark.skipif(_walls() != "rlimits landlock seccomp", reason="this system lacks a wall")
def test_a_process_behind_its_walls_reaches_nothing(tmp_path: Path) -> None:
    own, readable = tmp_path / "own", tmp_path / "readable"
    own.mkdir()
    readable.mkdir()
    (readable / "module").write_bytes(b"module")
    (tmp_path / "secret").write_bytes(b"secret")
    command = [sys.executable, "-c", ESCAPE_ATTEMPTS, str(tmp_path / "secret"), str(readable)]
    listener = socket.socket()
    with listener:
        run = subprocess.run(
            command, cwd=own, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, timeout=60, check=False
        )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[0] == "rlimits landlock seccomp"
    assert [line for line in lines[1:-2] if not line.endswith(" refused")] == []
    assert len(lines) == 23
    assert lines[-2:] == ["own folder 3 b'own'", "module b'module'"]
    assert (tmp_path / "secret").read_bytes() == b"secret"


def _environment_and_files(pid: int) -> tuple[bytes, list[str]]:
    folder = Path(f"/proc/{pid}")
    return (folder / "environ").read_bytes(), [str(path.readlink()) for path in (folder / "fd").iterdir()]


async def test_a_process_inherits_no_environment_and_no_open_file(bench: Bench) -> None:
    assert os.environ
    await bench.still_works()
    (pid,) = bench.sandbox.process_ids
    environment, opened = _environment_and_files(pid)
    assert environment == b""
    kinds = {path.split(":")[0] if path.startswith("socket:") else Path(path).suffix or path for path in opened}
    assert kinds == {"socket", "/dev/null", ".log", ".cwasm"}
