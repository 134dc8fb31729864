"""A power cut takes what was not synced: of a replica that is at stake never more than what the chain gives back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.worker.words import replica
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import EARLY, Phase

LATE = [phase for phase in Phase if phase not in EARLY]


@pytest.fixture
def folder(tmp_path: Path) -> WorkerFolder:
    return WorkerFolder(tmp_path)


def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what is synced to the disk from now on."""
    found: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: found.append(Path(f"/proc/self/fd/{fd}").readlink().name))
    return found


def test_only_what_is_about_to_be_contributed_waits_for_the_disk(folder: WorkerFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    names = synced(monkeypatch)
    for phase in (Phase.CHECKING, Phase.CONTRIBUTED, Phase.REVEALING, Phase.REVEALED, Phase.UPLOADING, Phase.UPLOADED):
        folder.keep(replica(phase))
    assert names == []
    contributing = replica(Phase.CONTRIBUTING)
    folder.keep(contributing)
    assert names == ["replica.part", contributing.task_id, "tasks"]


@pytest.mark.parametrize("phase", LATE)
def test_a_restart_goes_on_where_it_was(folder: WorkerFolder, phase: Phase) -> None:
    folder.keep(replica(Phase.CONTRIBUTING))
    folder.keep(replica(phase))
    assert [each.phase for each in folder.restore()] == [phase]


@pytest.mark.parametrize("rest", [b"", b"{", b"\0" * 100, None])
def test_after_a_power_cut_it_goes_on_from_the_contribution(folder: WorkerFolder, rest: bytes | None) -> None:
    kept = replica(Phase.CONTRIBUTING)
    folder.keep(kept)
    folder.keep(replica(Phase.UPLOADED))
    progress = folder.tasks / kept.task_id / "progress.json"
    if rest is None:
        progress.unlink()
    else:
        progress.write_bytes(rest)
    assert folder.restore() == (kept,)


def test_progress_that_is_older_than_the_contribution_does_not_count(folder: WorkerFolder) -> None:
    kept = replica(Phase.CONTRIBUTING)
    folder.keep(replica(Phase.RUNNING))
    before = (folder.tasks / kept.task_id / "progress.json").read_bytes()
    folder.keep(kept)
    (folder.tasks / kept.task_id / "progress.json").write_bytes(before)
    assert folder.restore() == (kept,)


def test_an_early_replica_that_a_power_cut_damaged_is_just_gone(folder: WorkerFolder) -> None:
    early = replica(Phase.RUNNING)
    folder.keep(early)
    (folder.tasks / early.task_id / "progress.json").write_bytes(b"")
    assert folder.restore() == ()
    assert list(folder.tasks.iterdir()) == []
    assert not (folder.folder / "damaged").exists()
