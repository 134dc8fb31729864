"""Short runs in series: the same results as alone, in one process, and nothing believed that a process should not say."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from tests.support.guests import guest
from voisin.errors import InputError
from voisin.sandbox import Cause, Job, Limits, Sandbox, Series, Turn

pytestmark = pytest.mark.anyio


def make_job(folder: Path, name: str, **limits: object) -> Job:
    """A job for one of the guests."""
    module = guest(name)
    sha256 = hashlib.sha256(module.read_bytes()).hexdigest()
    settings = dataclasses.replace(Limits(time_s=20, instructions=10**9, memory_bytes=64 << 20), **limits)  # type: ignore[arg-type]
    return Job(module=module, module_sha256=sha256, output_dir=folder / "out", limits=settings, env={"COMMON": "1"})


def turns(count: int, *args: str) -> tuple[Turn, ...]:
    """Some turns that differ in a variable and their seed."""
    return tuple(Turn(args=args, env={"OWN": str(number)}, seed=bytes([number])) for number in range(count))


@pytest.mark.parametrize("name", ["witness", "one_file", "many_files", "exit_code", "chatter"])
async def test_equal_to_runs_alone(tmp_path: Path, name: str) -> None:
    job = make_job(tmp_path, name)
    async with Sandbox(tmp_path / "cache") as sandbox:
        runs = await sandbox.run_series(Series(job=job, turns=turns(3)))
        assert runs
        for number, (run, turn) in enumerate(zip(runs, turns(3), strict=False)):
            out = tmp_path / f"out{number}"
            alone = dataclasses.replace(job, args=turn.args, env={**job.env, **turn.env}, seed=turn.seed, output_dir=out)
            outcome = await sandbox.run(alone)
            assert dataclasses.replace(outcome, wall_s=0) == dataclasses.replace(run.outcome, wall_s=0)
            found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
            assert run.files == found


async def test_one_process_does_series_and_single_runs_in_turn(tmp_path: Path) -> None:
    job = make_job(tmp_path, "witness")
    async with Sandbox(tmp_path / "cache") as sandbox:
        seen = set()
        for number in range(3):
            assert len(await sandbox.run_series(Series(job=job, turns=turns(4)))) >= 1
            await sandbox.run(dataclasses.replace(job, output_dir=tmp_path / f"out{number}"))
            seen |= set(sandbox.process_ids)
        assert len(seen) == 1


async def test_a_guest_that_hits_a_wall_ends_its_series_and_its_process(tmp_path: Path) -> None:
    job = make_job(tmp_path, "loop", instructions=1_000_000)
    async with Sandbox(tmp_path / "cache") as sandbox:
        runs = await sandbox.run_series(Series(job=job, turns=turns(3)))
        assert [run.outcome.cause for run in runs] == [Cause.INSTRUCTION_LIMIT]
        assert await sandbox.run_series(Series(job=make_job(tmp_path, "one_file"), turns=turns(1)))


async def test_a_series_makes_a_pause(tmp_path: Path) -> None:
    job = make_job(tmp_path, "loop", instructions=2 * 10**9)
    async with Sandbox(tmp_path / "cache") as sandbox:
        runs = await sandbox.run_series(Series(job=job, turns=turns(50)))
        assert len(runs) < 50


async def test_large_outputs_are_not_for_a_series(tmp_path: Path) -> None:
    job = make_job(tmp_path, "sparse_file")
    async with Sandbox(tmp_path / "cache") as sandbox:
        run = (await sandbox.run_series(Series(job=job, turns=turns(1))))[0]
        assert run.outcome.cause is not None or run.is_whole is (sum(map(len, run.files.values())) == run.outcome.output_bytes)


@pytest.mark.parametrize("turn", [Turn(args=("a\0b",), env={}, seed=b""), Turn(args=(), env={"a=b": "c"}, seed=b""), None])
async def test_bad_turns_are_refused(tmp_path: Path, turn: Turn | None) -> None:
    async with Sandbox(tmp_path / "cache") as sandbox:
        with pytest.raises(InputError):
            await sandbox.run_series(Series(job=make_job(tmp_path, "one_file"), turns=(turn,) if turn else ()))


async def test_a_module_that_is_none_fails_as_it_does_alone(tmp_path: Path) -> None:
    module = tmp_path / "bad.wasm"
    module.write_bytes(b"\0asm nonsense")
    job = dataclasses.replace(make_job(tmp_path, "loop"), module=module, module_sha256=hashlib.sha256(module.read_bytes()).hexdigest())
    async with Sandbox(tmp_path / "cache") as sandbox:
        runs = await sandbox.run_series(Series(job=job, turns=turns(3)))
        assert [run.outcome.cause for run in runs] == [Cause.BAD_MODULE]
