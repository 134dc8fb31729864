"""The committed modules are what their sources say: built again, in other folders, they are the same to the byte."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.guests import ROOT


def _build(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "apps/build.py", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.slow
def test_every_module_is_reproduced_from_its_source() -> None:
    run = _build(ROOT, "--check")
    assert (run.returncode, run.stdout) == (0, "all modules match\n"), run.stderr


@pytest.mark.slow
def test_a_changed_source_and_another_folder_are_told_apart(tmp_path: Path) -> None:
    project = tmp_path / "elsewhere with spaces"
    (project / "tests").mkdir(parents=True)
    for part in ("noop", "build.py"):
        source = ROOT / "apps" / part
        target = project / "apps" / part
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (project / "tests" / "guests").mkdir()
    assert _build(project, "--check").returncode == 0
    changed = project / "apps" / "noop" / "noop.c"
    changed.write_text(changed.read_text().replace("return 0", "return 1"))
    run = _build(project, "--check")
    assert (run.returncode, run.stdout) == (1, "apps/noop/noop.wasm differs from its source; run apps/build.py\n")
    assert _build(project).returncode == 0
    assert _build(project, "--check").returncode == 0
