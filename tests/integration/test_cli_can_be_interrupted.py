"""Ctrl-C while a run is under way: exit code 130, no traceback, and the deal goes on without us."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.integration.client_rig import WASM, running_rig


def test_an_interrupted_run_ends_at_once_and_quietly(tmp_path: Path) -> None:
    (tmp_path / "app.wasm").write_bytes(WASM)
    with running_rig(tmp_path / "home") as (rig, portal):
        portal.call(rig.offer)
        command = [sys.executable, "-c", "import sys; from voisin.cli import main; sys.exit(main())"]
        words = ["run", str(tmp_path / "app.wasm"), "idle", "--yes", "--home", str(rig.home)]
        with subprocess.Popen([*command, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            assert "app" in line
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out == ""
