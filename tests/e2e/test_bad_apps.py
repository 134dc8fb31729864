"""An app that misbehaves ends as a failed task that names its cause; its worker goes on with the next task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, RunningBox

GUESTS = ROOT / "tests" / "guests"


@pytest.mark.parametrize(
    ("app", "options", "cause"),
    [
        ("loop", ["--instructions", "100000000"], "instruction"),
        ("sleep", ["--time", "2"], "limit"),
        ("memory", [], "memory"),
        ("one_file", [], "output"),
        ("many_files", [], "output"),
        ("exit_code", [], "exit code 3"),
        ("trap", [], "trap"),
    ],
)
def test_the_cause_is_named_and_the_worker_goes_on(box: RunningBox, app: str, options: list[str], cause: str) -> None:
    done = box.run("run", str(GUESTS / f"{app}.wasm"), "--yes", *options, "--json", check=False)
    assert done.returncode == 1
    (result,) = json.loads(done.stdout)["results"]
    assert cause in result["error"]
    assert cause in done.stderr
    assert box.json("run", "apps/noop", "--yes")["results"][0]["error"] == ""


def test_files_outside_its_folders_do_not_exist_for_an_app(box: RunningBox) -> None:
    done = box.run("run", str(GUESTS / "escape.wasm"), "--yes", check=False)
    assert "root:" not in done.stdout + done.stderr
    assert Path("/etc/passwd").exists()
