"""What a sandbox process hands over is looked at before anybody uses it: a process that was taken over could hand over anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from voisin.sandbox import Limits
from voisin.sandbox.folders import OutputRefusedError, Scratch, clear, collect, input_files, read_stream

LIMITS = Limits(output_bytes=10, output_files=3)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    (folder / "folder").mkdir(parents=True)
    (folder / "folder" / "file").write_bytes(b"0123456789")
    return folder


def test_good_outputs_are_moved_and_measured(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "target"
    assert collect(out, target, LIMITS) == (10, 2)
    assert (target / "folder" / "file").read_bytes() == b"0123456789"
    assert not out.exists()


def test_an_empty_target_is_replaced_and_a_full_one_is_not(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(OutputRefusedError, match="cannot be taken over"):
        collect(out, target, LIMITS)
    assert [path.name for path in target.iterdir()] == ["mine"]
    (target / "mine").unlink()
    assert collect(out, target, LIMITS) == (10, 2)


CRIMES: dict[str, Callable[[Path], object]] = {
    "link": lambda out: (out / "link").symlink_to("/etc/passwd"),
    "link-inside": lambda out: (out / "folder" / "link").symlink_to("file"),
    "link-to-folder": lambda out: (out / "link").symlink_to("/etc"),
    "second-name": lambda out: os.link(out / "folder" / "file", out / "other"),
    "pipe": lambda out: os.mkfifo(out / "pipe"),
    "too-many-bytes": lambda out: (out / "more").write_bytes(b"1"),
    "too-many-files": lambda out: [(out / str(number)).touch() for number in range(2)],
}


@pytest.mark.parametrize("crime", CRIMES)
def test_bad_outputs_are_refused_and_removed(out: Path, tmp_path: Path, crime: str) -> None:
    CRIMES[crime](out)
    with pytest.raises(OutputRefusedError):
        collect(out, tmp_path / "target", LIMITS)
    assert not (tmp_path / "target").exists()


def test_an_output_folder_that_is_a_link_is_refused(out: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "link"
    link.symlink_to(elsewhere)
    with pytest.raises(OutputRefusedError, match="not a folder"):
        collect(link, tmp_path / "target", LIMITS)
    assert elsewhere.exists()


def test_logs_are_read_only_from_regular_files(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    assert read_stream(tmp_path, "log", 4) == b"0123"
    for name in ("none", "link", "pipe", "folder"):
        assert read_stream(tmp_path, name, 4) == b""


def test_inputs_are_regular_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("z", "a", "b/y", "b/c/x"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "folder-link").symlink_to("b")
    os.mkfifo(tmp_path / "pipe")
    assert set(input_files(tmp_path)) == {"a", "z", "b/y", "b/c/x"}
    assert input_files(None) == {}


def test_clearing_follows_no_link(tmp_path: Path) -> None:
    outside, work = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    (outside / "kept").touch()
    (work / "folder").mkdir(parents=True)
    (work / "folder" / "file").touch()
    (work / "link").symlink_to(outside)
    (work / "file").touch()
    clear(work)
    assert list(work.iterdir()) == []
    assert (outside / "kept").exists()


def test_scratch_folders_of_living_programs_are_left_alone(tmp_path: Path) -> None:
    first, second = Scratch(tmp_path), Scratch(tmp_path)
    first.open()
    (first.folder / "file").touch()
    second.open()
    assert (first.folder / "file").exists()
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_of_dead_programs_are_removed(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "file").touch()
    (tmp_path / "dead.lock").touch()
    scratch = Scratch(tmp_path)
    scratch.open()
    assert not (tmp_path / "dead").exists()
    assert not (tmp_path / "dead.lock").exists()
    scratch.close()
