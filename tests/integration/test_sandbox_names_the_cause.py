"""Whatever a guest does wrong, the outcome names it, and the sandbox goes on to run the next job."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.support.guests import TIGHT, Bench, from_text, tighter
from voisin.sandbox import Cause, Limits

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Misdeed:
    """What a guest does, and how it must end; `detail` is a pattern."""

    guest: str
    args: tuple[str, ...]
    cause: Cause
    detail: str
    limits: Limits = TIGHT


MISDEEDS = [
    Misdeed("loop", (), Cause.INSTRUCTION_LIMIT, "used more than 2000000000 instructions"),
    Misdeed("chatter", (), Cause.INSTRUCTION_LIMIT, "used more than 50000000 instructions", tighter(instructions=50_000_000)),
    Misdeed("loop", (), Cause.TIME_LIMIT, "ran longer than 0.2 s", tighter(time_s=0.2, instructions=10**15)),
    Misdeed("chatter", (), Cause.TIME_LIMIT, "ran longer than 0.2 s", tighter(time_s=0.2, instructions=10**15)),
    Misdeed("sleep", (), Cause.TIME_LIMIT, "slept longer than 20 s"),
    Misdeed("sleep", ("1", "21"), Cause.TIME_LIMIT, "slept longer than 20 s"),
    Misdeed("memory", ("1048576",), Cause.MEMORY_LIMIT, r"needed \d{8} bytes of memory, may have 33554432"),
    Misdeed("memory", ("1000000000",), Cause.MEMORY_LIMIT, r"needed 1\d{9} bytes of memory, may have 33554432"),
    Misdeed("noop", (), Cause.MEMORY_LIMIT, "needed 327680 bytes of memory, may have 65536", tighter(memory_bytes=65_536)),
    Misdeed("one_file", (), Cause.OUTPUT_LIMIT, "wrote more than 1048576 bytes of output"),
    Misdeed("sparse_file", (), Cause.OUTPUT_LIMIT, "wrote more than 1048576 bytes of output"),
    Misdeed("many_files", ("60000",), Cause.OUTPUT_LIMIT, "wrote more than 1048576 bytes of output"),
    Misdeed("many_files", ("0",), Cause.OUTPUT_LIMIT, "made more than 400 files and folders"),
    Misdeed("many_files", ("0", "folders"), Cause.OUTPUT_LIMIT, "made more than 400 files and folders"),
    Misdeed("exit_code", ("3",), Cause.EXIT_CODE, "exit code 3"),
    Misdeed("trap", ("abort",), Cause.TRAP, "the program aborted itself"),
    Misdeed("trap", ("divide",), Cause.TRAP, "integer division by zero"),
    Misdeed("trap", ("wild",), Cause.TRAP, "memory access out of bounds"),
    Misdeed("trap", ("null",), Cause.TRAP, "call of an empty table element"),
    Misdeed("trap", ("stack",), Cause.TRAP, "call stack overflow"),
]


FILE_OF_1_MIB = """(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $resize (param i32 i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "f")
  (func (export "_start")
    (if (call $open (i32.const 4) (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 0)) (then unreachable))
    (if (call $resize (i32.load (i32.const 0)) (i64.const 1048576)) (then unreachable))))"""


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: "-".join((misdeed.guest, *misdeed.args, misdeed.cause)))
async def test_the_cause_is_named_and_the_next_job_runs(bench: Bench, misdeed: Misdeed) -> None:
    outcome = await bench.run(misdeed.guest, *misdeed.args, limits=misdeed.limits)
    assert outcome.cause is misdeed.cause
    assert re.fullmatch(misdeed.detail, outcome.detail)
    assert not outcome.is_success
    assert outcome.exit_code == (3 if misdeed.cause is Cause.EXIT_CODE else 0)
    assert outcome.instructions <= misdeed.limits.instructions
    assert not bench.output.exists(), "a failed run leaves no output"
    await bench.still_works()


async def test_what_a_guest_printed_is_kept_whatever_its_end(bench: Bench) -> None:
    outcome = await bench.run("exit_code", "3")
    assert (outcome.stdout, outcome.stderr) == (b"to standard output\n", b"to standard error\n")
    outcome = await bench.run("chatter", limits=tighter(time_s=0.2, instructions=10**15))
    assert outcome.stdout.startswith(b"line 0\nline 1\n")
    first, last = (part.split(b"\n") for part in re.split(rb"\n\[.* bytes left out .*\]\n", outcome.stdout))
    assert int(last[-2].removeprefix(b"line ")) > int(first[-2].removeprefix(b"line ")) + 1_000, "one that is killed leaves its end, too"


async def test_a_chatty_guest_fills_its_log_and_no_more(bench: Bench) -> None:
    outcome = await bench.run("chatter", limits=tighter(instructions=200_000_000, log_bytes=1_000))
    assert re.fullmatch(rb"line 0\n.{493}\n\[\.\.\. \d+ bytes left out \.\.\.\]\n.{436}", outcome.stdout, re.DOTALL), outcome.stdout
    outcome = await bench.run("exit_code", "0", limits=tighter(log_bytes=7))
    assert (outcome.cause, outcome.stdout, outcome.stderr) == (None, b"to stan", b"to stan")
    outcome = await bench.run("exit_code", "0", limits=tighter(log_bytes=0))
    assert (outcome.cause, outcome.stdout, outcome.stderr) == (None, b"", b"")


async def test_a_guest_that_copes_with_little_memory_succeeds(bench: Bench) -> None:
    outcome = await bench.run("memory", "1000000", "polite")
    assert outcome.cause is None
    assert outcome.stdout == b"got 31000000 bytes\n"
    assert outcome.peak_memory_bytes is not None
    assert 31_000_000 < outcome.peak_memory_bytes <= 32 << 20


async def test_a_sleeping_guest_takes_no_real_time(bench: Bench) -> None:
    outcome = await bench.run("sleep", "2", "4", limits=tighter(time_s=9))
    assert (outcome.cause, outcome.stdout) == (None, b"8\n")
    assert outcome.wall_s < 8


async def test_limits_hold_to_the_byte_and_the_entry(bench: Bench) -> None:
    module = from_text(bench.folder, FILE_OF_1_MIB)
    assert (await bench.run(module)).cause is None
    assert (bench.output / "f").stat().st_size == 1 << 20
    outcome = await bench.run(module, limits=tighter(output_bytes=(1 << 20) - 1))
    assert outcome.cause is Cause.OUTPUT_LIMIT
    assert (await bench.run(module, limits=tighter(output_files=1))).cause is None
    assert (await bench.run(module, limits=tighter(output_files=0))).cause is Cause.OUTPUT_LIMIT


async def test_instructions_are_counted_to_the_last_one(bench: Bench) -> None:
    needed = (await bench.run("exit_code", "0")).instructions
    enough = await bench.run("exit_code", "0", limits=tighter(instructions=needed))
    assert (enough.cause, enough.instructions) == (None, needed)
    short = await bench.run("exit_code", "0", limits=tighter(instructions=needed - 10_000))  # the price of one system call
    assert (short.cause, short.instructions) == (Cause.INSTRUCTION_LIMIT, needed - 10_000)
