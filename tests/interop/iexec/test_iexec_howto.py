"""The how-to about the ecosystem's client, as it really runs: its commands are typed into a shell, which must print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, environment
from tests.interop.iexec.world import World, alone

PAGE = ROOT / "docs" / "howto" / "use-the-iexec-client.md"
SESSION_S = 600


def session(page: str) -> list[tuple[str, str]]:
    """The commands of a page, each with what it shows."""
    lines = "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).splitlines()
    steps: list[tuple[list[str], list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            steps.append(([line[2:]], []))
        elif line.startswith("> "):
            steps[-1][0].append(line[2:])
        elif line:
            steps[-1][1].append(line)
    return [("\n".join(command), "\n".join(shown)) for command, shown in steps]


def plain(text: str) -> list[str]:
    """Lines with what differs each time made equal."""
    text = re.sub(r"0x[0-9a-fA-F]{40,}", "0x…", re.sub(r"http://[0-9.:]+", "http://…", text))
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def script(steps: list[tuple[str, str]]) -> str:
    """A shell's script that says before each command which one it is."""
    return "set -eo pipefail\n" + "\n".join(f"echo '=== {number}'\n{command}" for number, (command, _) in enumerate(steps)) + "\n"


@pytest.mark.slow
@pytest.mark.timeout(SESSION_S + 60)
def test_the_page_shows_what_happens(world: World, tmp_path: Path) -> None:
    steps = session(PAGE.read_text())
    assert len(steps) > 15
    programs = f"{Path(sys.executable).parent}:{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    env = environment(PATH=programs, HOME=str(tmp_path), VOISIN_HOME=str(world.home), APPS=str(ROOT / "apps"), LANG="C.UTF-8")
    with alone(world.folder / "purse"):  # the page uses the account that all wallets are paid from
        done = subprocess.run(
            ["bash", "-c", script(steps)], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=SESSION_S, check=False
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    printed = re.split(r"^=== \d+$", done.stdout, flags=re.MULTILINE)[1:]
    for (command, shown), text in zip(steps, printed, strict=True):
        assert plain(text)[: len(plain(shown))] == plain(shown), command
