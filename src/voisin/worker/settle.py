"""
The part of a task that is on the chain: contribute, reveal, upload, claim.

Stake is at risk here, so each step reads the chain before it acts and after it failed, can be done again at any time, and does not
give up while the chain does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog

from voisin.chain import Admission
from voisin.errors import FundsError, RevertError, StateError, UnavailableError, VoisinError
from voisin.protocol.ids import from_hex
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.results import encode_link, result_hash
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.checks import require_active
from voisin.worker.pauses import Pauses
from voisin.worker.ports import Ledger, Storage
from voisin.worker.refusal import RefusalError
from voisin.worker.store import WorkerFolder
from voisin.worker.vocabulary import (
    Claimed,
    ClaimFailed,
    Contributed,
    Observed,
    Replica,
    Revealed,
    RevealMissed,
    Stored,
    TaskEvent,
    UploadFailed,
)

ATTEMPTS = 4
"""How often the chain may refuse a transaction, or storage a result, before it is believed."""

EARLY_UPLOAD_S = 2.0
"""How long an upload that began beside the reveal may go on after it [s]; then it is begun anew, with its own patience."""

log = structlog.get_logger(__name__)


class Settlement:
    """
    Brings a result from this disk to the chain and into storage.

    Args:
        ledger: The chain.
        folder: The worker's files.
        pauses: Makes the pauses between attempts.
    """

    def __init__(self, ledger: Ledger, folder: WorkerFolder, *, pauses: Callable[[], Pauses]) -> None:
        self._ledger = ledger
        self._folder = folder
        self._pauses = pauses

    async def observe(self, replica: Replica) -> Observed:
        """
        Read what the chain says of a task.

        Raises:
            StateError: The chain does not know it.
            UnavailableError: The chain does not answer.
        """
        seen = await self._ledger.glance(replica.task_id)
        return Observed(
            task_id=replica.task_id,
            status=seen.task.status,
            consensus=seen.task.consensus,
            winners=seen.task.winner_counter,
            own=seen.own.status,
            own_hash=seen.own.result_hash,
            reveal_deadline=seen.task.reveal_deadline,
            final_deadline=seen.task.final_deadline,
            now=seen.now,
        )

    async def contribute(self, replica: Replica) -> TaskEvent:
        """
        Commit to the result, unless that is on the chain already.

        Returns:
            That it is on the chain, or on its way there: a transaction without a receipt may arrive at any time.

        Raises:
            RefusalError: The task does not take it, and nothing of it is on its way.
        """
        sent: list[Replica] = []
        must_look = replica.is_committed  # otherwise the task was open a moment ago, before it was run

        async def attempt(each: Replica) -> TaskEvent:
            nonlocal must_look
            if must_look:
                return await self._contribute_once(each, sent)
            must_look = True
            return await self._commit(each, sent)

        try:
            return await self._insist("contribute", attempt, replica)
        except RefusalError as error:
            if not sent:
                raise
            log.warning("contribution_unsure", task_id=replica.task_id, error=error.message)
            return Contributed(replica.task_id)

    async def reveal(self, replica: Replica, storage: Callable[[], Awaitable[Storage]]) -> TaskEvent:
        """
        Show the digest, if the chain says that it is the agreed one and still wants it.

        A result that is wanted is put into storage meanwhile: nobody can contribute a copy of it any more. Where that fails, it is tried
        again once the digest is shown.
        """
        stored: list[Stored] = []
        async with anyio.create_task_group() as tasks:
            if replica.is_upload_wanted:
                tasks.start_soon(self._store_early, replica, storage, stored)
            event = await self._show(replica)
            tasks.cancel_scope.deadline = anyio.current_time() + EARLY_UPLOAD_S
        return Revealed(replica.task_id, stored[0].cid) if isinstance(event, Revealed) and stored else event

    async def _store_early(self, replica: Replica, storage: Callable[[], Awaitable[Storage]], stored: list[Stored]) -> None:
        try:
            stored.append(Stored(replica.task_id, await (await storage()).put_result(self._folder.result(replica.task_id))))
        except (VoisinError, OSError) as error:
            log.warning("early_upload_failed", task_id=replica.task_id, error=str(error))

    async def _show(self, replica: Replica) -> TaskEvent:
        assert replica.digest is not None
        try:
            await self._ledger.reveal(replica.task_id, replica.digest)  # the chain has just been seen to want it
            return Revealed(replica.task_id)
        except VoisinError as error:
            log.warning("reveal_unsure", task_id=replica.task_id, error=str(error))
        try:
            return await self._insist("reveal", self._reveal_once, replica)
        except RefusalError as error:
            return RevealMissed(replica.task_id, error.message)

    async def claim(self, replica: Replica) -> TaskEvent:
        """End a task that nobody ended in time, so that all stake comes back."""
        try:
            return await self._insist("claim", self._claim_once, replica)
        except RefusalError as error:
            return ClaimFailed(replica.task_id, error.message)

    async def upload(self, replica: Replica, storage: Callable[[], Awaitable[Storage]]) -> TaskEvent:
        """Put the result into storage."""
        path, pauses = self._folder.result(replica.task_id), self._pauses()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return Stored(replica.task_id, await (await storage()).put_result(path))
            except (VoisinError, OSError) as error:
                detail = error.message if isinstance(error, VoisinError) else f"the result is gone from the disk: {error.strerror}"
                log.warning("upload_failed", task_id=replica.task_id, error=detail, attempt=attempt)
                if attempt == ATTEMPTS or isinstance(error, OSError):
                    return UploadFailed(replica.task_id, detail)
            await anyio.sleep(pauses.next_s())
        raise AssertionError("unreachable")

    async def _insist(self, what: str, act: Callable[[Replica], Awaitable[TaskEvent]], replica: Replica) -> TaskEvent:
        """Act until it is done, the chain has refused often enough, or the task is in another state."""
        pauses, refusals = self._pauses(), 0
        while True:
            try:
                return await act(replica)
            except RefusalError:
                raise
            except UnavailableError as error:
                log.warning("chain_silent", task_id=replica.task_id, act=what, error=error.message)
            except VoisinError as error:
                refusals += 1
                log.warning("chain_refused", task_id=replica.task_id, act=what, error=str(error), count=refusals)
                if refusals == ATTEMPTS:
                    raise RefusalError(
                        MachineFailure.CHAIN_REFUSED, f"the chain refused to {what}: {error.message}", hint=error.hint
                    ) from None
            await anyio.sleep(pauses.next_s())

    async def _contribute_once(self, replica: Replica, sent: list[Replica]) -> TaskEvent:
        assert replica.digest is not None
        try:
            seen = await self._ledger.glance(replica.task_id)
        except StateError as error:
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, error.message) from None
        if seen.own.status is not ContributionStatus.UNSET:
            if seen.own.result_hash == result_hash(replica.task_id, replica.digest):
                return Contributed(replica.task_id)
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, "this wallet has contributed another result to the task already")
        require_active(seen.task)
        return await self._commit(replica, sent)

    async def _commit(self, replica: Replica, sent: list[Replica]) -> Contributed:
        """Send the contribution; `sent` learns if it is on its way though that failed."""
        assert replica.digest is not None
        admission = Admission(replica.authorization, replica.enclave_challenge, replica.enclave_signature)
        try:
            if not replica.is_direct:
                return Contributed(replica.task_id, is_agreed=await self._ledger.contribute(replica.task_id, replica.digest, admission))
            results, callback = encode_link(replica.cid), from_hex(replica.callback_data)
            await self._ledger.finish(replica.task_id, replica.digest, admission, results=results, callback=callback)
        except (RevertError, FundsError):
            raise  # nothing was sent, or what was sent was refused
        except BaseException:
            sent.append(replica)
            raise
        return Contributed(replica.task_id)

    async def _reveal_once(self, replica: Replica) -> TaskEvent:
        assert replica.digest is not None
        seen = await self.observe(replica)
        if seen.own is ContributionStatus.PROVED:
            return Revealed(replica.task_id)
        mine = result_hash(replica.task_id, replica.digest)
        if seen.status is not TaskStatus.REVEALING or seen.consensus != mine or seen.now >= seen.reveal_deadline:
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, f"the task is {seen.status.name.lower()} and takes no reveal of this result")
        await self._ledger.reveal(replica.task_id, replica.digest)
        return Revealed(replica.task_id)

    async def _claim_once(self, replica: Replica) -> TaskEvent:
        seen = await self.observe(replica)
        if seen.status is TaskStatus.FAILED:
            return Claimed(replica.task_id)
        if seen.status is TaskStatus.COMPLETED:
            raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, "the task was completed in the meantime")
        await self._ledger.claim(replica.task_id)
        return Claimed(replica.task_id)
