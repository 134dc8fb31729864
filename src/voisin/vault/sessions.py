"""Challenges and sessions: handing the secrets of a task to the enclave that runs it."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from msgspec.structs import replace

from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.consent import Consent
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, TaskId, to_hex
from voisin.protocol.params import parse_params
from voisin.protocol.records import Deal, Task
from voisin.protocol.results import authorization_digest
from voisin.protocol.sealing import reader_key
from voisin.protocol.secrets import Release, SecretKind, SecretRef
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    MIN_BULK_VOLUME,
    SESSION_ACT,
    SealedSession,
    SessionRequest,
    TaskChallenge,
    TaskSecrets,
    challenge_lines,
    seal_secrets,
    session_lines,
)
from voisin.units import UnixSeconds
from voisin.vault.cabinet import Cabinet, Held
from voisin.vault.consents import Consents
from voisin.vault.evidence import Attestor
from voisin.vault.ledger import Ledger
from voisin.vault.machine import authorizer, grant_of, require_enclave, require_live
from voisin.vault.records import ReleaseRecord

_log = structlog.get_logger()


class Sessions:
    """The vault as pools and workers deal with it."""

    def __init__(self, cabinet: Cabinet, ledger: Ledger, consents: Consents, attestor: Attestor) -> None:
        """
        Args:
            cabinet: The sealed records.
            ledger: The chain.
            consents: Takes consents.
            attestor: Decides whether an enclave has shown enough.
        """
        self._cabinet = cabinet
        self._ledger = ledger
        self._consents = consents
        self._attestor = attestor

    async def challenge(self, task_id: TaskId, consent: Consent) -> TaskChallenge:
        """
        Give the challenge of a task to whoever authorises its workers; the same each time.

        Args:
            task_id: The task, which must be initialized.
            consent: The workerpool's owner's, or the broker's of enclaves.

        Raises:
            StateError: The task is not live, or its deal asks for no enclave.
            TrustError: The consent is somebody else's, or does not count.
        """
        task, deal = await self._live(task_id)
        broker = await self._ledger.tee_broker()
        by = broker if broker != ZERO_ADDRESS and consent.signer == broker else deal.workerpool.owner
        await self._consents.take(consent, CHALLENGE_ACT, challenge_lines(task_id), by=by)
        return TaskChallenge(task_id=task_id, challenge=await self._cabinet.challenge_of(task_id, task.final_deadline))

    async def open(self, request: SessionRequest) -> SealedSession:
        """
        Seal the secrets of a task to an enclave's key, and record it.

        Args:
            request: What the worker asks for.

        Raises:
            StateError: The task is not live, its deal asks for no enclave, or a secret that the deal needs was never pushed.
            TrustError: The worker was not sent to this task with this challenge, did not sign, or its enclave shows too little.
            UnavailableError: The service of the enclave's maker does not answer.
        """
        self._attestor.require_kind(request.evidence)
        task, deal = await self._live(request.task_id)
        await self._require_authorized(request, deal)
        await self._consents.take(request.consent, SESSION_ACT, session_lines(request), by=request.worker)
        kept = await self._attestor.require(request)
        key = await self._cabinet.challenge_key(request.task_id, request.enclave)
        secrets, used = await self._collect(deal, Hash32(to_hex(key.expose_key())))
        bulk = await self._bulk(request, task, deal)
        secrets = replace(secrets, bulk_keys={entry: held.value.expose() for entry, held in bulk.items()})
        used += bulk.values()
        await self._record(request, task, deal, used, kept)
        return seal_secrets(secrets, request, self._consents.vault)

    async def _live(self, task_id: TaskId) -> tuple[Task, Deal]:
        task = require_live(task_id, await self._ledger.task(task_id), await self._ledger.now())
        deal = await self._ledger.deal(task.deal_id)
        require_enclave(task_id, deal)
        return task, deal

    async def _require_authorized(self, request: SessionRequest, deal: Deal) -> None:
        signer = authorizer(deal, await self._ledger.tee_broker())
        digest = authorization_digest(request.worker, request.task_id, request.enclave)
        if not await self._ledger.is_signed_by(signer, digest, request.authorization):
            raise TrustError(
                f"worker {request.worker} has no authorisation of {signer} for task {request.task_id} with challenge {request.enclave}",
                hint="an authorisation counts for one worker, task and challenge",
            )

    async def _collect(self, deal: Deal, challenge_key: Hash32) -> tuple[TaskSecrets, list[Held]]:
        try:
            grant = grant_of(deal)
        except InputError as error:
            raise StateError(f"the deal cannot be served: {error.message}", hint=error.hint) from None
        dataset = None if grant.dataset is None else await self._needed(grant.dataset)
        reader = None if grant.result_key is None else await self._needed(grant.result_key)
        requester = {str(number): await self._needed(ref) for number, ref in grant.requester.items()}
        app = await self._cabinet.secret(grant.app)
        secrets = TaskSecrets(
            challenge_key=challenge_key,
            dataset_key=_text(dataset),
            beneficiary_key="" if reader is None else _public_key(reader),
            app_secret=_text(app),
            requester_secrets=_texts(requester),
        )
        return secrets, [held for held in (dataset, reader, app, *requester.values()) if held is not None]

    async def _bulk(self, request: SessionRequest, task: Task, deal: Deal) -> dict[Address, Held]:
        """
        Find the keys of the datasets of a task's list. What the deal may not open, or has no key here, is left out: the rest still runs.

        Source: pool-semantics.md 3.3.
        """
        if not request.bulk or not parse_params(deal.params).bulk_cid:
            return {}
        found = {}
        for order in request.bulk:
            is_allowed = order.volume >= MIN_BULK_VOLUME and await self._ledger.may_open(order, task.deal_id)
            held = await self._cabinet.secret(SecretRef(SecretKind.DATASET, order.dataset)) if is_allowed else None
            if held is not None:
                found[order.dataset] = held
        return found

    async def _needed(self, ref: SecretRef) -> Held:
        held = await self._cabinet.secret(ref)
        if held is None:
            raise StateError(f"the deal needs the {ref}, which this vault does not have", hint="its owner pushes it first")
        return held

    async def _record(self, request: SessionRequest, task: Task, deal: Deal, used: list[Held], kept: str) -> None:
        at = self._consents.now()
        await self._cabinet.store.add_releases([_release(held, request, task, deal, at=at, kept=kept) for held in used])
        _log.info("session_opened", task_id=request.task_id, worker=request.worker, secrets=[str(held.ref) for held in used])


def _release(held: Held, request: SessionRequest, task: Task, deal: Deal, *, at: UnixSeconds, kept: str) -> ReleaseRecord:
    release = Release(
        at=at,
        kind=held.ref.kind,
        holder=held.ref.holder,
        name=held.ref.name,
        task_id=request.task_id,
        deal_id=task.deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        requester=deal.requester,
        worker=request.worker,
        evidence=kept,
    )
    return ReleaseRecord(held.pushed_by, release)


def _text(held: Held | None) -> str:
    return "" if held is None else held.value.expose()


def _texts(held: Mapping[str, Held]) -> dict[str, str]:
    return {number: each.value.expose() for number, each in held.items()}


def _public_key(held: Held) -> str:
    try:
        return reader_key(held.value.expose())
    except InputError as error:
        raise StateError(f"the {held.ref} cannot be used: {error.message}", hint="its owner replaces it") from None
