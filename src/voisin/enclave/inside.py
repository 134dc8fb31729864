"""
What happens inside an enclave: open the session, decrypt the data, run the app with its secrets, seal, sign.

The digest is that of the clear result, so enclaves that computed the same agree, although every sealed result is another. Whether
the result is sealed is the vault's word, in the session, and not the worker's; so are the terms of use and which app is run.

Source: pool-semantics.md 2.7, 3.3; client-surface.md 5.
"""

from __future__ import annotations

import hashlib
import secrets as random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import anyio
import anyio.to_thread

from voisin.enclave.desk import Desk
from voisin.enclave.noise import BAD_ANSWERS, make_private
from voisin.enclave.shares import join_shares
from voisin.enclave.terms import FAILED, TOO_LARGE, Rules, after_review, require_app, require_no_callback, rules_of
from voisin.enclave.words import Finished, Order, Program, Refused
from voisin.errors import InputError, TrustError, UnavailableError, VoisinError
from voisin.protocol.archive import open_archive
from voisin.protocol.data_terms import EnclaveLevel
from voisin.protocol.datasets import decrypt_dataset
from voisin.protocol.ids import Hash32, from_hex, hash32_of, to_hex
from voisin.protocol.results import SALT_FILE, GuestFailure, sign_enclave
from voisin.protocol.sealed_result import hold_result, is_reader_key, seal_result
from voisin.protocol.sealing import seal_archive
from voisin.protocol.sessions import SessionKey, TaskSecrets
from voisin.protocol.shamir import is_share
from voisin.protocol.wire_words import MachineFailure, Stream
from voisin.sandbox import Cause, Job, Limits, OnOutput, Outcome
from voisin.sandbox.packing import Packed, pack_failure, pack_run

BAD_DATASET: Final = "bad-dataset"
"""Cause of a failure when the dataset's key does not fit it, beside the sandbox's causes."""


_SALT: Final = b"voisin result salt 1"
_NOISE: Final = b"voisin noise seed 1"


class Runner(Protocol):
    """Runs untrusted apps; `voisin.sandbox.Sandbox` is one."""

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run an app to its end; what it prints meanwhile is told to `on_output`."""
        ...


@dataclass(frozen=True)
class Task:
    """
    A task whose secrets are open.

    Attributes:
        order: What the worker brought.
        opened: What the vault said.
        rules: What that allows.
        desk: Where it lies.
        is_shared: Whether the dataset's key was put together: what anybody could have handed in is nobody's failure on the chain.
    """

    order: Order
    opened: TaskSecrets
    rules: Rules
    desk: Desk
    is_shared: bool = False


def _say_nothing(_stream: Stream, _data: bytes) -> None:
    """Tell nobody what an app prints."""


async def carry_out(
    order: Order,
    key: SessionKey,
    desk: Desk,
    runner: Callable[[], Runner],
    *,
    level: EnclaveLevel = EnclaveLevel.SIMULATED,
    on_output: OnOutput = _say_nothing,
) -> Finished | Refused:
    """
    Do a task.

    Args:
        order: The task.
        key: The enclave's key for this session.
        desk: Where its files lie; the result is left there.
        runner: Gives what runs apps.
        level: What enclave this is.
        on_output: Told what the app prints, unless the result is sealed or the data has terms of use.

    Returns:
        What came of it; what the app did wrong is a result, too.
    """
    try:
        given = key.open(order.sealed, order.request, order.vault)
        opened = join_shares(given, order, key)
        require_app(opened, order)
        require_no_callback(opened, order)
        rules, opened = rules_of(opened, order, level)
    except VoisinError as error:
        return Refused(MachineFailure.VAULT_REFUSED, error.message)
    try:
        is_quiet = bool(opened.beneficiary_key or opened.hold_key) or rules.is_bound
        packed = await _result(
            Task(order, opened, rules, desk, is_shared=is_share(given.dataset_key)), runner, _say_nothing if is_quiet else on_output
        )
        if isinstance(packed, Refused):
            return packed
        opened = await anyio.to_thread.run_sync(after_review, opened, rules, desk.archive)
        await anyio.to_thread.run_sync(_seal, desk, opened, order)
        size = desk.result.stat().st_size
    except InputError as error:
        return Refused(MachineFailure.ENCLAVE_BROKEN, error.message)
    except OSError as error:
        return Refused(MachineFailure.NO_RESOURCES, f"the enclave's memory does not suffice: {error.strerror}")
    return Finished(
        size=size,
        digest=packed.digest,
        callback_data=packed.callback_data,
        signature=sign_enclave(opened.challenge_signer(), order.request.worker, order.request.task_id, packed.digest),
        cause=packed.failure.cause if packed.failure else "",
        exit_code=None if rules.is_bound else packed.exit_code,
        is_sealed=bool(opened.beneficiary_key or opened.hold_key),
    )


async def _result(task: Task, runner: Callable[[], Runner], on_output: OnOutput) -> Packed | Refused:
    failure, program = task.order.failure, task.order.program
    if failure is None and program is not None:
        try:
            failure = await anyio.to_thread.run_sync(_decrypt, task)
        except TrustError as error:
            return Refused(MachineFailure.WRONG_HASH, error.message)
    if failure is not None or program is None:
        return await anyio.to_thread.run_sync(_pack_failure, task, failure or GuestFailure("bad-request", "there is nothing to run"))
    outcome = await _run(runner(), _job(program, task), on_output)
    if isinstance(outcome, Refused):
        return outcome
    return await anyio.to_thread.run_sync(_pack, task, outcome)


async def _run(runner: Runner, job: Job, on_output: OnOutput) -> Outcome | Refused:
    told = dict.fromkeys(Stream, 0)

    def tell(stream: Stream, data: bytes) -> None:
        told[stream] += len(data)
        on_output(stream, data)

    try:
        outcome = await runner.run(job, on_output=tell)
    except UnavailableError as error:
        return Refused(MachineFailure.SANDBOX_BROKEN, error.message)
    for stream, data in ((Stream.STDOUT, outcome.stdout), (Stream.STDERR, outcome.stderr)):
        if rest := data[told[stream] :]:
            tell(stream, rest)
    if outcome.cause is Cause.TIME_LIMIT and outcome.instructions == 0:
        detail = f"this machine is too slow for the task: the app was not done after {job.limits.time_s:g} s"
        return Refused(MachineFailure.NO_RESOURCES, detail)
    return outcome


def _job(program: Program, task: Task) -> Job:
    most, desk = task.rules.max_output_bytes, task.desk
    limits = Limits(
        time_s=program.time_s,
        instructions=program.instructions,
        memory_bytes=program.memory_bytes,
        output_bytes=min(program.output_bytes, most or program.output_bytes),
    )
    return Job(
        module=desk.module,
        module_sha256=program.module_sha256,
        args=program.args,
        env={**program.env, **task.opened.environment()},
        input_dir=desk.inputs,
        output_dir=desk.outputs,
        limits=limits,
        seed=program.seed,
        clock_unix_s=program.clock_unix_s,
    )


def _pack(task: Task, outcome: Outcome) -> Packed:
    """Make the result, of which terms of use say what may be in it."""
    rules, desk, has_callback = task.rules, task.desk, task.order.has_callback
    if not rules.is_bound:
        _add_salt(task, outcome)
        return pack_run(outcome, desk.outputs, desk.archive, has_callback=has_callback)
    failed = _failed(outcome)
    if failed is None and rules.query_micro:
        is_answer = not has_callback and make_private(desk.outputs, rules.query_micro, _secret(task.opened, _NOISE))
        failed = None if is_answer else BAD_ANSWERS
    if failed is not None:
        return _pack_failure(task, failed)
    _add_salt(task, outcome)
    is_silent = bool(rules.query_micro) or not task.opened.beneficiary_key
    kept = replace(outcome, stdout=b"", stderr=b"") if is_silent else outcome
    packed = pack_run(kept, desk.outputs, desk.archive, has_callback=has_callback)
    if packed.failure is not None:
        return _pack_failure(task, FAILED)
    too_large = rules.is_too_large(_leaving_bytes(desk.archive) + len(packed.callback_data))
    return _pack_failure(task, TOO_LARGE) if too_large else packed


def _secret(opened: TaskSecrets, purpose: bytes) -> Hash32:
    """
    Tell a secret that all enclaves of the task have, and only they: from the data's key, too, since one of several keepers of its shares
    makes the challenge.
    """
    return hash32_of(purpose, from_hex(opened.challenge_key), opened.dataset_key.encode())


def _add_salt(task: Task, outcome: Outcome) -> None:
    """Add to a result that nobody but its reader opens what its digest cannot be guessed without; the same in all replicas."""
    opened, outputs = task.opened, task.desk.outputs
    if outcome.cause is None and (opened.hold_key or is_reader_key(opened.beneficiary_key)):
        outputs.mkdir(exist_ok=True)
        if (outputs / SALT_FILE).is_dir():
            shutil.rmtree(outputs / SALT_FILE)
        (outputs / SALT_FILE).write_text(_secret(opened, _SALT))


def _pack_failure(task: Task, failure: GuestFailure) -> Packed:
    return pack_failure(failure, task.desk.archive, has_callback=task.order.has_callback)


def _failed(outcome: Outcome) -> GuestFailure | None:
    """Say of an app's failure only what cannot depend on the data, or is known from the result's absence."""
    match outcome.cause:
        case None:
            return None
        case Cause.OUTPUT_LIMIT:
            return TOO_LARGE
        case Cause.BAD_MODULE:
            return GuestFailure(Cause.BAD_MODULE, outcome.detail)
        case _:
            return FAILED


def _leaving_bytes(archive: Path) -> int:
    """Count a result: as it is packed, which has the files' names, or unpacked, whichever is more [bytes]."""
    with archive.open("rb") as file:
        unpacked = sum(open_archive(file).sizes.values())
    return max(archive.stat().st_size, unpacked)


def _decrypt(task: Task) -> GuestFailure | None:
    """
    Decrypt datasets in their places; says in words that every enclave finds why the deal's own cannot be.

    A file is held against the chain's checksum before its key touches it: whether a changed one can be decrypted would tell a worker that
    tries again and again what is in it (the form of the protocol's own clients has padding, and no authentication).
    """
    order, opened, desk = task.order, task.opened, task.desk
    if order.dataset:
        path = desk.input(order.dataset)
        if not _is_file(path, opened.dataset_checksum):
            raise TrustError("the worker brings another dataset than the chain names")
        is_clear = _decrypt_file(path, opened.dataset_key)
        if not is_clear and task.is_shared:
            raise TrustError("the shares of several vaults give no key of this dataset")
        if not is_clear:
            return GuestFailure(BAD_DATASET, "the dataset cannot be decrypted with the key that its owner gave to the vault")
    for entry in order.bulk:
        path, key = desk.input(entry), opened.bulk_keys.get(entry, "")
        if path.exists() and not (key and _is_file(path, opened.bulk_checksums.get(entry, "")) and _decrypt_file(path, key)):
            path.unlink()
    return None


def _is_file(path: Path, checksum: str) -> bool:
    """Tell whether a file is the one that the chain names; empty where nobody knows."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return not checksum or to_hex(hashlib.file_digest(file, "sha256").digest()) == checksum


def _decrypt_file(path: Path, key: str) -> bool:
    """Decrypt a file in its place; tells whether the key fits."""
    clear = path.with_name(f"{path.name}.clear")
    try:
        with path.open("rb") as source, clear.open("xb") as target:
            decrypt_dataset(source, target, key)
        clear.replace(path)
    except (InputError, TrustError):
        return False
    finally:
        clear.unlink(missing_ok=True)
    return True


def _seal(desk: Desk, opened: TaskSecrets, order: Order) -> None:
    """Bring the result into the form in which it leaves."""
    key = opened.beneficiary_key
    if opened.hold_key:
        with desk.archive.open("rb") as archive, desk.result.open("wb") as target:
            hold_result(archive, target, from_hex(opened.hold_key), random.token_bytes)
    elif not key:
        desk.archive.replace(desk.result)
    elif is_reader_key(key):
        with desk.archive.open("rb") as archive, desk.result.open("wb") as target:
            seal_result(archive, target, key, order.request.task_id, random.token_bytes)
    else:
        desk.result.write_bytes(seal_archive(desk.archive.read_bytes(), key, random.token_bytes))
