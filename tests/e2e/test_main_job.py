"""The main job as a person does it: a sweep of frames on a box of three machines, paid, proven, and counted to the last nRLC."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.e2e.conftest import RunningBox

SWEEP = ("run", "apps/pathtracer", "--frames", "0..3", "--set", "size=48x36", "--set", "samples=2", "--replicas", "2", "--yes")


def test_frames_are_rendered_agreed_paid_and_accounted_for(box: RunningBox, tmp_path: Path) -> None:
    animation = tmp_path / "orbit.gif"
    report = box.json(*SWEEP, "--out", str(tmp_path / "frames"), "--animation", str(animation))
    with Image.open(animation) as picture:
        assert (picture.n_frames, picture.size) == (4, (48, 36))
    assert [len(result["workers"]) >= 2 for result in report["results"]] == [True] * 4
    assert report["balance_before"] == report["balance_after"] == 87_000_000 * 10**9
    (invoice,) = report["invoices"]
    assert invoice["total"] == invoice["spent"] == 4 * invoice["price"] > 0
    assert sum(line["amount"] for line in invoice["payments"]) == invoice["spent"]
    assert {line["outcome"] for line in invoice["tasks"]} == {"completed"}
    assert sum(line["gas"] for line in invoice["gas"]) > 0


def test_the_same_frame_is_the_same_bytes_whoever_renders_it(box: RunningBox, tmp_path: Path) -> None:
    for folder in ("once", "again"):
        box.run(*SWEEP, "--out", str(tmp_path / folder))
    frames = [sorted((tmp_path / folder).rglob("frame.png")) for folder in ("once", "again")]
    assert len(frames[0]) == 4
    assert [frame.read_bytes() for frame in frames[0]] == [frame.read_bytes() for frame in frames[1]]
    assert len({frame.read_bytes() for frame in frames[0]}) == 4


def test_a_result_is_fetched_again_later(box: RunningBox, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("one two two\n")
    report = box.json("run", "apps/wordcount", "--input", str(text), "--yes")
    (result,) = report["results"]
    box.run("task", "result", result["task_id"], "--out", str(tmp_path / "later"))
    assert (tmp_path / "later" / "counts.txt").read_text().split() == ["2", "two", "1", "one"]
    shown = box.run("task", "show", result["task_id"]).stdout
    assert "completed" in shown
    assert report["invoices"][0]["deal_id"] in box.run("deal", "show", report["invoices"][0]["deal_id"]).stdout
