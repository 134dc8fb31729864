"""Modules that cannot run are named; compiled ones are made once, kept safe, and made anew when they do not fit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from tests.support.guests import APPS, Bench, from_text, guest, job
from voisin.errors import GuestError, InputError
from voisin.sandbox import Cause, Sandbox

pytestmark = pytest.mark.anyio

MEMORY = '(memory (export "memory") 1)'
START = '(func (export "_start"))'
BAD_TEXTS = {
    "no _start function": f"(module {MEMORY})",
    "exports no memory": f"(module {START})",
    "unknown import": f'(module (import "env" "system" (func (param i32))) {MEMORY} {START})',
    "incompatible import type": f'(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64))) {MEMORY} {START})',
    "memory64": f'(module (memory (export "memory") i64 1) {START})',
    "threads": f'(module (memory (export "memory") 1 1 shared) {START})',
    "multiple memories": f"(module {MEMORY} (memory 1) {START})",
}
BAD_BYTES = {
    "is not WebAssembly": b"\x7fELF",
    "is a component": b"\0asm\x0d\0\1\0",
    "unexpected end": b"\0asm\1\0\0\0\1",
}


@pytest.mark.parametrize(("reason", "text"), BAD_TEXTS.items())
async def test_a_module_that_is_no_command_is_refused(bench: Bench, reason: str, text: str) -> None:
    outcome = await bench.run(from_text(bench.folder, text))
    assert outcome.cause is Cause.BAD_MODULE
    assert reason in outcome.detail
    assert outcome.detail.isprintable()
    await bench.still_works()


@pytest.mark.parametrize(("reason", "data"), BAD_BYTES.items())
async def test_bytes_that_are_no_module_are_refused(bench: Bench, reason: str, data: bytes) -> None:
    path = bench.folder / "bad.wasm"
    path.write_bytes(data)
    outcome = await bench.run(path)
    assert outcome.cause is Cause.BAD_MODULE
    assert reason in outcome.detail


async def test_preparing_a_bad_module_raises(bench: Bench) -> None:
    path = from_text(bench.folder, f"(module {MEMORY})")
    with pytest.raises(GuestError, match="has no _start function"):
        await bench.sandbox.prepare(path, hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(InputError, match="cannot read"):
        await bench.sandbox.prepare(bench.folder / "none.wasm", "0" * 64)


async def test_a_module_with_another_hash_is_refused_and_the_right_one_is_not(bench: Bench) -> None:
    path = from_text(bench.folder, f'(module {MEMORY} {START} (func (export "never-compiled-before")))')
    right = path.read_bytes()
    path.write_bytes(guest("noop").read_bytes())
    with pytest.raises(InputError, match="has another SHA-256"):
        await bench.sandbox.run(replace(bench.job(path), module_sha256=hashlib.sha256(right).hexdigest()))
    path.write_bytes(right)
    assert (await bench.run(path)).cause is None
    path.write_bytes(b"what is compiled already is found by its hash")
    assert (await bench.sandbox.run(replace(bench.job(path), module_sha256=hashlib.sha256(right).hexdigest()))).cause is None


async def test_a_module_that_takes_too_long_to_compile_is_refused(tmp_path: Path) -> None:
    statement = "(local.set 0 (i32.mul (local.get 0) (i32.const 3)))"
    functions = f"(func (param i32) {statement * 200})" * 800
    path = from_text(tmp_path, f"(module {MEMORY} {START} {functions})")
    async with Sandbox(tmp_path / "cache", compile_time_s=0.05) as sandbox:
        outcome = await sandbox.run(job(path, tmp_path / "out"))
        assert (outcome.cause, outcome.detail) == (Cause.BAD_MODULE, "the module takes longer than 0.05 s to compile")
        assert sandbox.process_ids == ()


async def test_each_module_is_compiled_once(tmp_path: Path) -> None:
    async with Sandbox(tmp_path / "cache", slots=3) as sandbox:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(sandbox.run, job(guest("noop"), tmp_path / str(number)))
        (compiled,) = (tmp_path / "cache" / "compiled").glob("*.cwasm")
        made_ns = compiled.stat().st_mtime_ns
    async with Sandbox(tmp_path / "cache") as sandbox:
        await sandbox.run(job(guest("noop"), tmp_path / "later"))
    assert compiled.stat().st_mtime_ns == made_ns


@pytest.mark.parametrize("damage", ["flipped", "replaced", "cut", "without-mac", "other-key"])
async def test_a_compiled_module_that_is_not_ours_is_never_loaded(tmp_path: Path, damage: str) -> None:
    cache = tmp_path / "cache"
    async with Sandbox(cache) as sandbox:
        await sandbox.run(job(guest("noop"), tmp_path / "before"))
    (compiled,) = (cache / "compiled").glob("*.cwasm")
    good = compiled.read_bytes()
    if damage == "without-mac":
        compiled.with_suffix(".mac").unlink()
    elif damage == "other-key":
        (cache / "key").write_bytes(bytes(32))
    else:
        compiled.write_bytes(
            {"flipped": bytes([good[0] ^ 1]) + good[1:], "replaced": b"machine code of a stranger", "cut": good[:-1]}[damage]
        )
    async with Sandbox(cache) as sandbox:
        outcome = await sandbox.run(job(guest("noop"), tmp_path / "after"))
        assert outcome.cause is None
        assert len(sandbox.process_ids) == 1
    assert compiled.read_bytes() == good


async def test_a_compiled_module_that_does_not_load_is_made_anew(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    async with Sandbox(cache) as sandbox:
        await sandbox.run(job(guest("noop"), tmp_path / "before"))
    (compiled,) = (cache / "compiled").glob("*.cwasm")
    good, other = compiled.read_bytes(), tmp_path / "other"
    other.write_bytes(b"\x7fELF of another engine")
    sandbox = Sandbox(cache)
    sandbox._compiler._modules.keep(other, compiled)  # ours by its keyed hash, but not for this engine
    async with sandbox:
        outcome = await sandbox.run(job(guest("noop"), tmp_path / "after"))
    assert outcome.cause is None
    assert compiled.read_bytes() == good


async def test_a_cache_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(InputError, match="damaged"):
        Sandbox(tmp_path)


async def test_the_cache_is_closed_to_others(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    async with Sandbox(cache) as sandbox:
        await sandbox.run(job(APPS / "noop" / "noop.wasm", tmp_path / "out"))
        modes = {path.name: path.stat().st_mode & 0o077 for path in [cache, cache / "compiled", cache / "key"]}
    assert modes == {"cache": 0, "compiled": 0, "key": 0}
