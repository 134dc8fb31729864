"""The how-to about contracts, as it really runs: the session that it shows is the session of `demo/contract.py` on a fresh box."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import COMMAND_S, ROOT, RunningBox, environment

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs" / "howto" / "order-from-a-contract.md"


def steps(session: str) -> list[str]:
    """The lines of a session; ids, which differ each time, made equal."""
    lines = [re.sub(r"0x[0-9a-fA-F]{40,}", "0x…", line).rstrip() for line in session.splitlines()]
    return [line for line in lines if line]


@pytest.mark.timeout(3 * COMMAND_S)
def test_the_page_shows_what_happens(box_factory: Callable[..., RunningBox]) -> None:
    box = box_factory("--workers", "2")
    done = subprocess.run(
        [sys.executable, "demo/contract.py"],
        capture_output=True,
        text=True,
        timeout=2 * COMMAND_S,
        cwd=ROOT,
        env=environment(VOISIN_HOME=str(box.home)),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r"```console\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert steps("\n".join(shown)) == steps(done.stdout)
