"""
What happens inside an enclave: open the session, decrypt the dataset, run the app with its secrets, seal, sign.

The digest is that of the clear result, so enclaves that computed the same agree, although every sealed archive is another. Whether
the result is sealed is the vault's word, in the session, and not the worker's.

Source: pool-semantics.md 2.7, 3.3; client-surface.md 5.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from voisin.errors import InputError, TrustError, UnavailableError, VoisinError
from voisin.protocol.datasets import decrypt_dataset
from voisin.protocol.results import GuestFailure, sign_enclave
from voisin.protocol.sealing import seal_archive
from voisin.protocol.sessions import SessionKey, TaskSecrets
from voisin.protocol.wire_words import MachineFailure, Stream
from voisin.sandbox import Cause, Job, Limits, OnOutput
from voisin.sandbox.packing import Packed, pack_failure, pack_run
from voisin.worker.enclave.words import Finished, Order, Program, Refused
from voisin.worker.ports import Runner

BAD_DATASET: Final = "bad-dataset"
"""Cause of a failure when the dataset's key does not fit it, beside the sandbox's causes."""


async def carry_out(
    order: Order, key: SessionKey, runner: Callable[[], Runner], on_output: OnOutput = lambda _stream, _data: None
) -> Finished | Refused:
    """
    Do a task.

    Args:
        order: The task.
        key: The enclave's key for this session.
        runner: Gives what runs apps.
        on_output: Told what the app prints, unless the result is sealed.

    Returns:
        What came of it; what the app did wrong is a result, too.
    """
    try:
        opened = key.open(order.sealed, order.request, order.vault)
    except VoisinError as error:
        return Refused(MachineFailure.VAULT_REFUSED, error.message)
    try:
        packed = await _result(order, opened, runner, (lambda _stream, _data: None) if opened.beneficiary_key else on_output)
        if isinstance(packed, Refused):
            return packed
        if opened.beneficiary_key:
            await anyio.to_thread.run_sync(_seal, Path(order.target), opened.beneficiary_key)
    except InputError as error:
        return Refused(MachineFailure.ENCLAVE_BROKEN, error.message)
    except OSError as error:
        return Refused(MachineFailure.NO_RESOURCES, f"the result cannot be written: {error.strerror}")
    return Finished(
        digest=packed.digest,
        callback_data=packed.callback_data,
        signature=sign_enclave(opened.challenge_signer(), order.request.worker, order.request.task_id, packed.digest),
        cause=packed.failure.cause if packed.failure else "",
        exit_code=packed.exit_code,
        is_sealed=bool(opened.beneficiary_key),
    )


async def _result(order: Order, opened: TaskSecrets, runner: Callable[[], Runner], on_output: OnOutput) -> Packed | Refused:
    target, failure, program = Path(order.target), order.failure, order.program
    if failure is None and program is not None:
        failure = await anyio.to_thread.run_sync(_decrypt, order, opened, Path(program.input_dir))
    if failure is not None or program is None:
        known = failure or GuestFailure("bad-request", "there is nothing to run")
        return await anyio.to_thread.run_sync(lambda: pack_failure(known, target, has_callback=order.has_callback))
    job, told = _job(program, opened), dict.fromkeys(Stream, 0)

    def tell(stream: Stream, data: bytes) -> None:
        told[stream] += len(data)
        on_output(stream, data)

    try:
        outcome = await runner().run(job, on_output=tell)
    except UnavailableError as error:
        return Refused(MachineFailure.SANDBOX_BROKEN, error.message)
    for stream, data in ((Stream.STDOUT, outcome.stdout), (Stream.STDERR, outcome.stderr)):
        if rest := data[told[stream] :]:
            tell(stream, rest)
    if outcome.cause is Cause.TIME_LIMIT and outcome.instructions == 0:
        detail = f"this machine is too slow for the task: the app was not done after {program.time_s:g} s"
        return Refused(MachineFailure.NO_RESOURCES, detail)
    return await anyio.to_thread.run_sync(lambda: pack_run(outcome, job.output_dir, target, has_callback=order.has_callback))


def _job(program: Program, opened: TaskSecrets) -> Job:
    return Job(
        module=Path(program.module),
        module_sha256=program.module_sha256,
        args=program.args,
        env={**program.env, **opened.environment()},
        input_dir=Path(program.input_dir),
        output_dir=Path(program.output_dir),
        limits=Limits(
            time_s=program.time_s,
            instructions=program.instructions,
            memory_bytes=program.memory_bytes,
            output_bytes=program.output_bytes,
        ),
        seed=program.seed,
        clock_unix_s=program.clock_unix_s,
    )


def _decrypt(order: Order, opened: TaskSecrets, folder: Path) -> GuestFailure | None:
    """Decrypt datasets in their places; says in words that every enclave finds why the deal's own cannot be."""
    if order.dataset and not _decrypt_file(folder / order.dataset, opened.dataset_key):
        return GuestFailure(BAD_DATASET, "the dataset cannot be decrypted with the key that its owner gave to the vault")
    for entry in order.bulk:
        path, key = folder / entry, opened.bulk_keys.get(entry, "")
        if path.exists() and not (key and _decrypt_file(path, key)):
            path.unlink()
    return None


def _decrypt_file(path: Path, key: str) -> bool:
    clear = path.with_name(f"{path.name}.clear")
    try:
        with path.open("rb") as source, clear.open("xb") as target:
            decrypt_dataset(source, target, key)
        clear.replace(path)  # never in place: the file may be the cache's own
    except (InputError, TrustError):
        return False
    finally:
        clear.unlink(missing_ok=True)
    return True


def _seal(path: Path, public_key: str) -> None:
    sealed = seal_archive(path.read_bytes(), public_key, random.token_bytes)
    partial = path.with_suffix(".sealed")
    partial.write_bytes(sealed)
    partial.replace(path)
