"""What looks for secrets finds them where they are: a capture that finds nothing anywhere would prove nothing."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.capture import Wanted, in_files, in_memory, outside, recorded_loopback

SECRET = bytes(range(100, 164))
HOLDS = "import sys; kept = bytes(range(100, 164))[7:30]; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"


@pytest.mark.parametrize("start", range(0, 48, 5))
def test_any_sixteen_bytes_in_a_row_are_found(start: int) -> None:
    wanted = Wanted({"secret": SECRET})
    found = list(wanted.find(bytes(1_000) + SECRET[start : start + 16] + bytes(50), "here"))
    assert {(each.secret, each.run) for each in found} == {("secret", 16)}
    assert list(wanted.find(bytes(1_000) + SECRET[start : start + 15] + bytes(50), "here")) == []


@pytest.mark.parametrize("before", [b"", b"1", b"12"])
def test_text_forms_are_found(before: bytes) -> None:
    wanted = Wanted({"secret": SECRET}).spelled()
    for text in (base64.b64encode(before + SECRET), (before + SECRET).hex().encode()):
        assert list(wanted.find(b'{"data": "' + text + b'"}', "here")), text


def test_files_are_looked_through(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"..." + SECRET)
    (tmp_path / "allowed").write_bytes(SECRET)
    (found,) = {each.place for each in in_files(Wanted({"secret": SECRET}), [tmp_path], but=[tmp_path / "allowed"])}
    assert found == str(tmp_path / "deep" / "log")


def test_another_processs_memory_is_looked_through() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found, looked = in_memory(Wanted({"secret": SECRET}), process.pid)
        elsewhere, _ = in_memory(Wanted({"secret": bytes(range(1, 90))[::-1]}), process.pid)
        assert outside(process.pid, inside=("sys.stdin.read",)) == {}
        assert process.stdin is not None
        process.stdin.close()
    assert looked > 1 << 20
    assert found[0].run >= 23
    assert elsewhere == []


def test_the_loopback_is_recorded() -> None:
    with recorded_loopback() as packets, socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        with client, connection:
            client.sendall(SECRET)
            assert connection.recv(1_000) == SECRET
    assert list(Wanted({"secret": SECRET}).find(bytes(packets.data), "loopback"))
