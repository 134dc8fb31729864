"""Having a task done in an enclave: the session that its key gets from the vault, the order, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio
import structlog
from msgspec.structs import replace

from voisin.enclave.words import Finished, Order, Program, Refused, Show
from voisin.errors import UnavailableError, VoisinError
from voisin.protocol.evidence import Evidence
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32
from voisin.protocol.results import GuestFailure
from voisin.protocol.sessions import SessionWish
from voisin.protocol.wire_words import MachineFailure
from voisin.sandbox import Job, OnOutput
from voisin.sandbox.packing import Packed
from voisin.service.vaults import Session
from voisin.worker.checks import Terms
from voisin.worker.enclave.errand import Errand
from voisin.worker.enclave.keepers import Vaults, collect_shares, find_vaults
from voisin.worker.fetch import Prepared
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Parts
from voisin.worker.refusal import RefusalError
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import Replica

ATTEMPTS = 4
"""How often the vault is asked while it does not answer."""
MORE_BYTES = 1 << 20
"""What a result may have beside twice the app's output: what it printed, and the seal [bytes]."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class EnclaveWork:
    """
    A worker's use of its enclaves.

    Args:
        parts: The world.
        folder: The worker's files.
        pauses: Makes the pauses between attempts.
        worker: The worker's address.
        check: Refuses addresses of vaults that this worker does not go to.
    """

    def __init__(
        self, parts: Parts, folder: WorkerFolder, pauses: Callable[[], Pauses], *, worker: Address, check: Callable[[str], Awaitable[None]]
    ) -> None:
        self._check = check
        self._worker = worker
        self._enclaves = parts.enclaves
        self._sessions = parts.sessions
        self._folder = folder
        self._pauses = pauses

    async def run(
        self, replica: Replica, terms: Terms, ready: Prepared | GuestFailure, *, vault_url: str, on_output: OnOutput
    ) -> tuple[Packed, str]:
        """
        Do a task in a fresh enclave; once more if the enclave itself broke.

        Args:
            replica: The task.
            terms: What the chain says of it.
            ready: What is to be run, or why it cannot.
            vault_url: Where the secrets are.
            on_output: Told what the app prints, unless the result is sealed.

        Returns:
            The result, and the enclave's signature over it.

        Raises:
            RefusalError: The vault gave no session, or the enclave could not do it.
        """
        if self._enclaves is None or not vault_url:
            what = "enclaves" if self._enclaves is None else "vault to ask for secrets (setting vault_url)"
            raise RefusalError(MachineFailure.NO_RESOURCES, f"this worker has no {what}")

        errand = self._errand(replica, terms, ready, vault_url)
        try:
            answer = await self._attempt(errand, on_output)
        except UnavailableError as error:
            log.warning("enclave_broke", task_id=replica.task_id, error=error.message)
            try:
                answer = await self._attempt(errand, on_output)
            except UnavailableError as again:
                raise RefusalError(MachineFailure.ENCLAVE_BROKEN, again.message) from None
        if isinstance(answer, Refused):
            raise RefusalError(answer.failure, answer.detail)
        failure = GuestFailure(answer.cause, "") if answer.cause else None
        packed = Packed(digest=answer.digest, callback_data=answer.callback_data, failure=failure, exit_code=answer.exit_code)
        return packed, answer.signature

    def _errand(self, replica: Replica, terms: Terms, ready: Prepared | GuestFailure, vault_url: str) -> Errand:
        job, bulk = (None, ()) if isinstance(ready, GuestFailure) else (ready.job, ready.bulk)

        known: list[Vaults] = []

        async def show() -> list[Show]:
            found = await self._patiently(replica, lambda: find_vaults(self._sessions(vault_url), terms.deal.dataset.pointer))
            known[:] = [found]
            task_id, challenge = replica.task_id, replica.enclave_challenge
            return [Show(task_id=task_id, worker=self._worker, challenge=challenge, vault=vault) for vault in found.all]

        async def make_order(session_key: Hash32, evidence: Sequence[Evidence]) -> Order:
            wish = SessionWish(
                task_id=replica.task_id,
                enclave=replica.enclave_challenge,
                session_key=session_key,
                authorization=replica.authorization,
                evidence=evidence[0],
                bulk=bulk,
            )
            session = await self._patiently(replica, lambda: self._sessions(vault_url).session(wish))
            shares = await collect_shares(known[0], wish, evidence[1:], sessions=self._sessions, check=self._check)
            return replace(_order(terms, ready, session), shares=shares)

        return Errand(
            show=show,
            make_order=make_order,
            module=None if job is None else job.module,
            inputs=None if job is None else job.input_dir,
            target=self._folder.result(replica.task_id),
            max_result_bytes=2 * terms.limits.output_bytes + MORE_BYTES,
        )

    async def _attempt(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        assert self._enclaves is not None
        return await self._enclaves.run(errand, on_output)

    async def _patiently(self, replica: Replica, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the vault, and again while it does not answer."""
        pauses = self._pauses()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await ask()
            except UnavailableError as error:
                log.warning("vault_silent", task_id=replica.task_id, error=error.message, attempt=attempt)
                if attempt == ATTEMPTS:
                    raise RefusalError(MachineFailure.VAULT_UNREACHABLE, error.message) from None
            except VoisinError as error:
                raise RefusalError(MachineFailure.VAULT_REFUSED, f"the vault refused: {error.message}", hint=error.hint) from None
            await anyio.sleep(pauses.next_s())
        raise AssertionError("unreachable")


def _order(terms: Terms, ready: Prepared | GuestFailure, session: Session) -> Order:
    pointer = terms.deal.dataset.pointer
    return Order(
        request=session.request,
        vault=session.vault,
        sealed=session.sealed,
        program=None if isinstance(ready, GuestFailure) else _program(ready.job),
        failure=ready if isinstance(ready, GuestFailure) else None,
        bulk=() if isinstance(ready, GuestFailure) else tuple(dict.fromkeys(order.dataset for order in ready.bulk)),
        dataset="" if pointer == ZERO_ADDRESS else pointer,
        has_callback=terms.has_callback,
    )


def _program(job: Job) -> Program:
    limits = job.limits
    return Program(
        module_sha256=job.module_sha256,
        args=job.args,
        env=dict(job.env),
        time_s=limits.time_s,
        instructions=limits.instructions,
        memory_bytes=limits.memory_bytes,
        output_bytes=limits.output_bytes,
        seed=job.seed,
        clock_unix_s=job.clock_unix_s,
    )
