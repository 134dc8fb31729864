"""Challenges and sessions: handing the secrets of a task to the enclave that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from msgspec.structs import replace

from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.consent import Consent
from voisin.protocol.data_terms import Review
from voisin.protocol.evidence import technology_of
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, TaskId, to_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.params import parse_params
from voisin.protocol.records import Deal, Task
from voisin.protocol.results import authorization_digest
from voisin.protocol.sealing import reader_key
from voisin.protocol.secrets import Release, SecretKind, SecretRef
from voisin.protocol.sessions import (
    CHALLENGE_ACT,
    MIN_BULK_VOLUME,
    SESSION_ACT,
    SHARE_ACT,
    SealedSession,
    SessionRequest,
    TaskChallenge,
    TaskSecrets,
    TaskShares,
    challenge_lines,
    seal_secrets,
    seal_shares,
    session_lines,
)
from voisin.protocol.shamir import is_share
from voisin.protocol.vault_terms import DataRefusal, DataUse, SessionEvidence, TaskEvidence, evidence_digest
from voisin.units import NRLC
from voisin.vault.cabinet import Cabinet, Held
from voisin.vault.conditions import Conditions, Granted
from voisin.vault.consents import Consents
from voisin.vault.evidence import Attestor
from voisin.vault.ledger import Ledger
from voisin.vault.machine import TermsError, authorizer, grant_of, require_enclave, require_live
from voisin.vault.standing import Memory
from voisin.vault.terms import is_bound, unbound
from voisin.vault.terms_records import ReleaseRecord, Serving, Turnout

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose worker was sent, whose enclave showed enough, and whose task is live; and what the enclave showed, as it is kept."""

    request: SessionRequest
    task: Task
    deal: Deal
    shown: SessionEvidence


class Sessions:
    """The vault as pools and workers deal with it."""

    def __init__(
        self, cabinet: Cabinet, ledger: Ledger, consents: Consents, attestor: Attestor, *, conditions: Conditions, memory: Memory
    ) -> None:
        """
        Args:
            cabinet: The sealed records.
            ledger: The chain.
            consents: Takes consents.
            attestor: Decides whether an enclave has shown enough.
            conditions: Judges uses of data with terms.
            memory: Makes changes that must never be forgotten.
        """
        self._cabinet = cabinet
        self._ledger = ledger
        self._consents = consents
        self._attestor = attestor
        self._conditions = conditions
        self._memory = memory

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
            TermsError: The terms of use of the deal's dataset do not allow it, or another enclave got its key for this task.
            UnavailableError: The service of the enclave's maker does not answer.
        """
        admitted = await self._admit(request, SESSION_ACT)
        task, deal = admitted.task, admitted.deal
        key = await self._cabinet.challenge_key(request.task_id, request.enclave)
        granted = await self._judged(admitted)
        secrets, used = await self._collect(deal, Hash32(to_hex(key.expose_key())), has_terms=granted is not None)
        bulk, listed = await self._bulk(request, task, deal)
        secrets = replace(
            secrets,
            bulk_keys={entry: unbound(held) for entry, held in bulk.items()},
            bulk_checksums={entry: await self._dataset_checksum(entry) for entry in bulk},
            bulk_terms={each.entry.terms.dataset: each.entry.terms for each in listed},
            terms=None if granted is None else granted.entry.terms,
            purpose=parse_params(deal.params).voisin_purpose,
            app_checksum=await self._app_checksum(deal),
            dataset_checksum=await self._dataset_checksum(deal.dataset.pointer),
            hold_key=self._hold_key(request.task_id, granted),
        )
        used += bulk.values()
        await self._record(admitted, used, ([granted] if granted else []) + listed)
        return seal_secrets(secrets, request, self._consents.vault)

    async def shares(self, request: SessionRequest) -> SealedSession:
        """
        Seal this vault's share of a dataset's key to an enclave's key, for a task whose challenge another vault made.

        Args:
            request: What the worker asks for; the consent is under `SHARE_ACT`.

        Raises:
            StateError: The task is not live, its deal asks for no enclave, or this vault has no share.
            TrustError: The worker was not sent to this task with this challenge, did not sign, or its enclave shows too little.
            TermsError: The terms of use do not allow it, or another enclave got the share for this task.
            UnavailableError: The service of the enclave's maker does not answer.
        """
        admitted = await self._admit(request, SHARE_ACT)
        dataset = admitted.deal.dataset.pointer
        granted = await self._judged(admitted)
        held = None if granted is None else await self._cabinet.secret(SecretRef(SecretKind.DATASET, dataset))
        if granted is None or held is None or not is_share(unbound(held)):
            hint = "ask the vaults that the terms of use name"
            raise StateError(f"this vault has no share of the key of task {request.task_id}'s dataset", hint=hint)
        await self._record(admitted, [held], [granted])
        shares = TaskShares(
            task_id=request.task_id,
            shares={dataset: unbound(held)},
            terms={dataset: granted.entry.terms},
            app_checksum=await self._app_checksum(admitted.deal),
            dataset_checksum=await self._dataset_checksum(dataset),
            purpose=parse_params(admitted.deal.params).voisin_purpose,
        )
        return seal_shares(shares, request, self._consents.vault)

    async def evidence(self, task_id: TaskId) -> TaskEvidence:
        """Show what the enclaves showed that got the secrets of a task."""
        vault = self._consents.vault
        found = await self._cabinet.store.terms.evidence_of(task_id)
        return TaskEvidence(task_id=task_id, vault=vault.vault, chain_id=vault.chain_id, hub=vault.hub, sessions=tuple(found))

    async def _admit(self, request: SessionRequest, act: str) -> Admitted:
        self._attestor.require_kind(request.evidence)
        task, deal = await self._live(request.task_id)
        await self._require_authorized(request, deal)
        await self._consents.take(request.consent, act, session_lines(request), by=request.worker)
        shown = SessionEvidence(
            at=self._consents.now(),
            worker=request.worker,
            enclave=request.enclave,
            session_key=request.session_key,
            kept=await self._attestor.require(request),
            signature="0x",
        )
        signature = self._cabinet.sign(evidence_digest(self._consents.vault, request.task_id, shown))
        return Admitted(request, task, deal, replace(shown, signature=signature))

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

    async def _collect(self, deal: Deal, challenge_key: Hash32, *, has_terms: bool) -> tuple[TaskSecrets, list[Held]]:
        try:
            grant = grant_of(deal)
        except InputError as error:
            raise StateError(f"the deal cannot be served: {error.message}", hint=error.hint) from None
        dataset = None if grant.dataset is None else await self._needed(grant.dataset)
        if is_bound(dataset) and not has_terms:
            raise TermsError(f"the {grant.dataset} is given out under terms of use only, and there are none", hint="its owner pushes them")
        reader = None if grant.result_key is None else await self._needed(grant.result_key)
        requester = {str(number): await self._needed(ref) for number, ref in grant.requester.items()}
        app = await self._cabinet.secret(grant.app)
        secrets = TaskSecrets(
            challenge_key=challenge_key,
            dataset_key="" if dataset is None else unbound(dataset),
            beneficiary_key="" if reader is None else _public_key(reader),
            app_secret=_text(app),
            requester_secrets=_texts(requester),
        )
        return secrets, [held for held in (dataset, reader, app, *requester.values()) if held is not None]

    async def _app_checksum(self, deal: Deal) -> str:
        return await self._ledger.checksum_of(OrderKind.APP, deal.app.pointer) or ""

    async def _dataset_checksum(self, dataset: Address) -> str:
        return "" if dataset == ZERO_ADDRESS else await self._ledger.checksum_of(OrderKind.DATASET, dataset) or ""

    def _hold_key(self, task_id: TaskId, granted: Granted | None) -> str:
        if granted is None or granted.entry.terms.review is Review.NONE:
            return ""
        return to_hex(self._cabinet.hold_key(task_id))

    async def _bulk(self, request: SessionRequest, task: Task, deal: Deal) -> tuple[dict[Address, Held], list[Granted]]:
        """
        Find the keys of the datasets of a task's list, and the terms of those that have some. What the deal may not open, what terms do
        not allow, or has no key here, is left out: the rest still runs.

        Source: pool-semantics.md 3.3.
        """
        if not request.bulk or not parse_params(deal.params).bulk_cid:
            return {}, []
        found, listed = {}, []
        for order in request.bulk:
            is_free = order.volume >= MIN_BULK_VOLUME and not order.datasetprice  # the hub looks at neither
            is_allowed = is_free and await self._ledger.may_open(order, task.deal_id)
            held = await self._cabinet.secret(SecretRef(SecretKind.DATASET, order.dataset)) if is_allowed else None
            if held is None or order.dataset in found:
                continue
            try:
                granted = await self._conditions.of_listed(order, deal, request.evidence)
                if is_bound(held) and granted is None:
                    raise TermsError(f"the {held.ref} is given out under terms of use only, and there are none")
            except TermsError as error:
                _log.info("dataset_left_out", task_id=request.task_id, dataset=order.dataset, reason=error.message)
                continue
            found[order.dataset] = held
            listed += [granted] if granted else []
        return found, listed

    async def _judged(self, admitted: Admitted) -> Granted | None:
        """Judge the use of the deal's dataset; a refusal is written down for its owner."""
        try:
            return await self._conditions.of_deal(admitted.task, admitted.deal, admitted.request.evidence)
        except TermsError as error:
            await self._cabinet.store.terms.refuse(_refusal(error, admitted))
            raise

    async def _needed(self, ref: SecretRef) -> Held:
        held = await self._cabinet.secret(ref)
        if held is None:
            raise StateError(f"the deal needs the {ref}, which this vault does not have", hint="its owner pushes it first")
        return held

    async def _record(self, admitted: Admitted, used: list[Held], granted: list[Granted]) -> None:
        request = admitted.request
        releases = [_release(held, admitted) for held in used]
        if granted:
            await self._serve(admitted, releases, [_use(each, admitted) for each in granted])
        else:
            await self._cabinet.store.terms.add_evidence(request.task_id, admitted.shown, releases)
        _log.info("session_opened", task_id=request.task_id, worker=request.worker, secrets=[str(held.ref) for held in used])

    async def _serve(self, admitted: Admitted, releases: list[ReleaseRecord], uses: list[DataUse]) -> None:
        request = admitted.request
        serving = Serving(request.task_id, request.worker, request.session_key, admitted.shown, uses, releases)
        turnout = await self._memory.change(lambda: self._cabinet.store.terms.serve(serving))
        refused = _REFUSED.get(turnout)
        if refused is not None:
            await self._cabinet.store.terms.refuse(_refusal(refused, admitted))
            raise TermsError(refused.message, hint=refused.hint)


_REFUSED: Final = {
    Turnout.TAKEN: TermsError(
        "another enclave got the keys of this task",
        hint="a task gets its keys once; if the machine that got them is gone, the requester gets the money back",
    ),
    Turnout.REVOKED: TermsError("the owner has just revoked the order", hint="the requester gets the money back"),
}


def _refusal(error: TermsError, admitted: Admitted) -> DataRefusal:
    deal, request = admitted.deal, admitted.request
    return DataRefusal(
        id=0,
        at=admitted.shown.at,
        dataset=deal.dataset.pointer,
        task_id=request.task_id,
        deal_id=admitted.task.deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        requester=deal.requester,
        worker=request.worker,
        reason=error.message,
    )


def _release(held: Held, admitted: Admitted) -> ReleaseRecord:
    deal = admitted.deal
    release = Release(
        at=admitted.shown.at,
        kind=held.ref.kind,
        holder=held.ref.holder,
        name=held.ref.name,
        task_id=admitted.request.task_id,
        deal_id=admitted.task.deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        requester=deal.requester,
        worker=admitted.request.worker,
        evidence=admitted.shown.kept,
    )
    return ReleaseRecord(held.pushed_by, release)


def _use(granted: Granted, admitted: Admitted) -> DataUse:
    deal, entry = admitted.deal, granted.entry
    return DataUse(
        id=0,
        at=admitted.shown.at,
        dataset=entry.terms.dataset,
        order_hash=entry.order_hash,
        number=granted.number,
        task_id=admitted.request.task_id,
        deal_id=admitted.task.deal_id,
        app=deal.app.pointer,
        workerpool=deal.workerpool.pointer,
        requester=deal.requester,
        beneficiary=deal.beneficiary,
        worker=admitted.request.worker,
        price=deal.dataset.price if deal.dataset.pointer == entry.terms.dataset else NRLC(0),
        purpose=parse_params(deal.params).voisin_purpose,
        technology=technology_of(admitted.request.evidence),
    )


def _text(held: Held | None) -> str:
    return "" if held is None else held.value.expose()


def _texts(held: Mapping[str, Held]) -> dict[str, str]:
    return {number: each.value.expose() for number, each in held.items()}


def _public_key(held: Held) -> str:
    try:
        return reader_key(held.value.expose())
    except InputError as error:
        raise StateError(f"the {held.ref} cannot be used: {error.message}", hint="its owner replaces it") from None
