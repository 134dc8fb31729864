"""Help: every command has one with an example, it needs none of the heavy parts, and no words answer with it too."""

from __future__ import annotations

import subprocess
import sys

import pytest

from voisin.cli import main

COMMANDS = (
    "up", "status", "chain", "chain abi", "run", "wallet create", "wallet show", "wallet balance", "wallet deposit", "wallet withdraw",
    "app deploy", "app show", "app list", "order sign", "order publish", "order list", "order show", "order fill", "order cancel",
    "deal show", "task show", "task result", "worker join", "pool run", "storage add",
    "storage get",
)  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_has_help_with_an_example(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line.split(), "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"Example: voisin {line}" in printed
    for option in ("--home", "--wallet", "--password-file", "--json"):
        assert option in printed


def test_no_words_answer_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage: voisin" in capsys.readouterr().out


def test_help_loads_none_of_the_heavy_parts() -> None:
    heavy = "{'httpx', 'litestar', 'sqlalchemy', 'eth_utils', 'wasmtime', 'pydantic_settings', 'anyio', 'PIL', 'msgspec'}"
    code = f"import sys; from voisin.cli import main; main(['--help']); sys.exit(sorted({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
