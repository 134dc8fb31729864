"""The PostgreSQL server of our tests is gone with the process that asked for it, however that process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.postgres import DEADLINE_S, Cluster

_ROOT = Path(__file__).parents[2]
_ASK = """
import signal, sys
from tests.support.postgres import open_cluster
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background may have it ignored
with open_cluster() as cluster, cluster.database():
    print(cluster.folder, flush=True)
    sys.stdin.read()
    raise SystemExit("a failure")
"""


@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGKILL])
def test_server_is_gone_with_its_process(postgres: Cluster, number: signal.Signals | None) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", _ASK], cwd=_ROOT, text=True, **pipes) as asker:
        assert asker.stdin is not None
        assert asker.stdout is not None
        folder = Path(asker.stdout.readline().strip())
        assert folder != postgres.folder
        server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        if number is None:
            asker.stdin.close()
        else:
            asker.send_signal(number)
        assert asker.wait(DEADLINE_S) != 0
    deadline = time.monotonic() + DEADLINE_S
    while folder.exists():
        assert time.monotonic() < deadline
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
