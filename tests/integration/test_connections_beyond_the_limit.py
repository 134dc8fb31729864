"""More connections that say nothing than a process may have open files: those that wait longest go, whoever asks is answered."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.integration.test_storage_process import COMMAND, environment
from tests.support.crowds import DEADLINE_S, crowd

FILES = 512
LIMITED = f"import resource, os, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES})); os.execv(sys.argv[1], sys.argv[1:])"


def test_those_that_wait_longest_go(tmp_path: Path) -> None:
    given = environment(folder=tmp_path / "store", port=0)
    command = [sys.executable, "-c", LIMITED, *COMMAND]
    with subprocess.Popen(command, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            url = next(match[1] for line in process.stdout if (match := re.search(r"url\S*?=\S*?(http://[\w.:]+)", line)))
            with crowd(url, 3 * FILES) as waiting:
                with httpx.Client(base_url=url, timeout=DEADLINE_S) as http:
                    cid = http.post("/v1/blobs", content=b"served").json()["cid"]
                    assert http.get(f"/ipfs/{cid}").content == b"served"
                waiting[0].settimeout(DEADLINE_S)
                assert _is_hung_up(waiting[0].recv)
        finally:
            process.kill()
        assert "out of system resource" not in process.stdout.read()


def _is_hung_up(receive: object) -> bool:
    assert callable(receive)
    try:
        return receive(1) == b""
    except ConnectionResetError:
        return True
