"""The specification's tables are what the ABIs, the list of differences and the measured gas say."""

from __future__ import annotations

import subprocess
import sys

from voisin.chain.compile import ROOT


def test_the_tables_are_current() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "table.py"), "--check"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
