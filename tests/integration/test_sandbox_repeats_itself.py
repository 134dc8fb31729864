"""Equal jobs give equal bytes and equal counts: in one process, in another process, after other guests, at another time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.guests import Bench, tighter
from voisin.sandbox import Outcome, Sandbox

pytestmark = pytest.mark.anyio

ROOMY = tighter(instructions=20_000_000_000, memory_bytes=128 << 20)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    for name in ("zebra", "Ärger", "ant", "B", "b"):
        (folder / name).write_text(name)
    return folder


def _what_counts(outcome: Outcome, output: Path) -> tuple[object, ...]:
    files = {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}
    return outcome.cause, outcome.instructions, outcome.peak_memory_bytes, outcome.stdout, files


def _write_anew(folder: Path) -> None:
    """Give each file another inode and another time, and the folder another order."""
    for path in sorted(folder.iterdir()):
        copy = folder / f"{path.name}.copy"
        copy.write_bytes(path.read_bytes())
        path.unlink()
        copy.rename(path)


async def test_nothing_of_the_machine_shows(bench: Bench, inputs: Path, sandbox_cache: Path, tmp_path: Path) -> None:
    first = _what_counts(await bench.run("fortune", "a", "b", inputs=inputs), bench.output)
    _write_anew(inputs)
    await bench.run("exit_code", "3")
    again = _what_counts(await bench.run("fortune", "a", "b", inputs=inputs), bench.output)
    async with Sandbox(sandbox_cache) as other_sandbox:
        other = Bench(other_sandbox, tmp_path / "other")
        elsewhere = _what_counts(await other.run("fortune", "a", "b", inputs=inputs), other.output)
    assert first == again == elsewhere


async def test_what_the_guest_sees_is_what_the_job_says(bench: Bench, inputs: Path) -> None:
    job = replace(bench.job("fortune", "x y", inputs=inputs), clock_unix_s=1_700_000_000, env={"Z": "1", "A": "2=3"})
    await bench.sandbox.run(job)
    lines = (bench.output / "fortune.txt").read_text().splitlines()
    assert len(lines[0]) == 32
    assert [line.split(".")[0] for line in lines[1:4]] == ["1700000000", "0", "1700000000"]
    assert lines[4:8] == ["app", "x y", "A=2=3", "Z=1"]
    listed = [line.split()[0] for line in lines[8:13]]
    assert listed == ["B", "ant", "b", "zebra", "Ärger"]
    assert {line.split()[3] for line in lines[8:13]} == {"1700000000"}


async def test_another_seed_gives_other_random_numbers(bench: Bench) -> None:
    drawn = set()
    for seed in (b"", b"seed", b"seed2", b"\0", b"\0\0"):
        job = replace(bench.job("fortune"), seed=seed)
        await bench.sandbox.run(job)
        drawn.add((bench.output / "fortune.txt").read_text().splitlines()[0])
    assert len(drawn) == 5


@pytest.mark.parametrize("app", ["pathtracer", "wordcount"])
async def test_apps_repeat_themselves_in_two_sandboxes(bench: Bench, app: str, inputs: Path, sandbox_cache: Path, tmp_path: Path) -> None:
    args = ("--frame", "5", "--size", "64x48") if app == "pathtracer" else ()
    runs = [_what_counts(await bench.run(app, *args, limits=ROOMY, inputs=inputs), bench.output) for _ in range(2)]
    async with Sandbox(sandbox_cache) as other_sandbox:
        other = Bench(other_sandbox, tmp_path / "other")
        runs.append(_what_counts(await other.run(app, *args, limits=ROOMY, inputs=inputs), other.output))
    assert runs[0] == runs[1] == runs[2]
    assert runs[0][0] is None


async def test_canonical_nan_changes_no_ordinary_result(bench: Bench, sandbox_cache: Path, tmp_path: Path) -> None:
    plain = _what_counts(await bench.run("pathtracer", "--size", "32x24", limits=ROOMY), bench.output)
    async with Sandbox(sandbox_cache, canonical_nan=True) as other_sandbox:
        other = Bench(other_sandbox, tmp_path / "other")
        canonical = _what_counts(await other.run("pathtracer", "--size", "32x24", limits=ROOMY), other.output)
    assert plain == canonical
