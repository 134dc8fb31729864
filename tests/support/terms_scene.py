"""A vault in memory, or on a database, with a dataset under terms of use: its owner pushes orders, requesters make deals, workers ask."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

import msgspec

from tests.support.vault_scene import APP, DATASET, TIME_REF_S, Scene, fresh_nonce, make_deal, make_scene
from voisin.protocol.consent import Consent
from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId, hash32_of, task_id
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.results import sign_authorization
from voisin.protocol.rules import new_task
from voisin.protocol.sessions import SHARE_ACT, SessionKey, SessionRequest, SessionWish, TaskSecrets, request_session
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import as_tag
from voisin.protocol.vault_terms import (
    REFUSALS_ACT,
    REVOKE_ACT,
    TERMS_ACT,
    USES_ACT,
    DataRefusal,
    DataUse,
    TermsEntry,
    TermsPush,
    refusals_lines,
    revoke_lines,
    terms_lines,
    uses_lines,
)
from voisin.units import NRLC, UnixSeconds
from voisin.vault.settings import VaultSettings

CODE: Final = Hash32("0x" + "c0" * 32)
DATA: Final = Hash32("0x" + "da" * 32)
KEY: Final = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def terms_of(**changes: object) -> DataTerms:
    """Make terms that allow played enclaves, with changes; two are never the same."""
    return msgspec.structs.replace(DataTerms(dataset=DATASET, nonce=fresh_nonce(), min_enclave=EnclaveLevel.SIMULATED), **changes)


@dataclass
class TermsScene:
    """
    A vault with a dataset under terms.

    Attributes:
        scene: The vault and who deals with it.
    """

    scene: Scene

    def order(self, terms: DataTerms, *, volume: int = 100, by: KeySigner | None = None) -> DatasetOrder:
        """Sign an order that commits to terms."""
        order = DatasetOrder(
            dataset=terms.dataset,
            datasetprice=NRLC(2),
            volume=volume,
            tag=as_tag("tee,tdx"),
            requesterrestrict=terms.gate,
            salt=terms.id,
        )
        return sign_order(order, self.scene.ledger.domain, by or self.scene.dataset_owner)

    async def push(self, terms: DataTerms, *, key: str = KEY, by: KeySigner | None = None, **changes: object) -> TermsEntry:
        """Push an order with its terms as the dataset's owner; with changes to the order."""
        pushed = TermsPush(order=msgspec.structs.replace(self.order(terms, by=by), **changes), terms=terms, key=key)
        return await self.scene.vault.terms.push(DATASET, pushed, self.consent_to(pushed, by=by))

    def consent_to(self, pushed: TermsPush, *, by: KeySigner | None = None) -> Consent:
        """Consent to a push as the dataset's owner."""
        name = order_hash(pushed.order, self.scene.ledger.domain)
        about = terms_lines(DATASET, name, pushed.terms.id, pushed.key)
        return self.scene.consent(by or self.scene.dataset_owner, TERMS_ACT, about)

    async def revoke(self, which: str = "all", *, by: KeySigner | None = None) -> tuple[TermsEntry, ...]:
        """Revoke orders as the dataset's owner."""
        consent = self.scene.consent(by or self.scene.dataset_owner, REVOKE_ACT, revoke_lines(DATASET, which))
        return (await self.scene.vault.terms.revoke(DATASET, which, consent)).entries

    async def uses(self, *, since: int = 0) -> tuple[DataUse, ...]:
        """List the uses as the dataset's owner."""
        consent = self.scene.consent(self.scene.dataset_owner, USES_ACT, uses_lines(DATASET))
        return (await self.scene.vault.terms.uses(DATASET, consent, since=UnixSeconds(since), before=None)).uses

    async def refusals(self) -> tuple[DataRefusal, ...]:
        """List the refused uses as the dataset's owner."""
        consent = self.scene.consent(self.scene.dataset_owner, REFUSALS_ACT, refusals_lines(DATASET))
        return (await self.scene.vault.terms.refusals(DATASET, consent, since=UnixSeconds(0), before=None)).refusals

    def deal(self, order: OrderHash | None, *, size: int = 1, params: DealParams | None = None, **changes: object) -> list[TaskId]:
        """Make a deal of an order, with changes; gives its tasks, which are open. Without an order, the hub tells of none."""
        made = make_deal(self.scene, "tee,tdx", DATASET, encode_params(params or DealParams()))
        made = msgspec.structs.replace(made, bot_size=size, start_time=UnixSeconds(int(self.scene.now[0])), **changes)
        name = DealId(hash32_of(b"deal", len(self.scene.ledger.deals).to_bytes(8, "big")))
        self.scene.ledger.deals[name] = made
        if order is not None:
            self.scene.ledger.match(name, order, size)
        tasks = [task_id(name, made.bot_first + index) for index in range(size)]
        for index, task in enumerate(tasks):
            self.scene.ledger.tasks[task] = new_task(name, made.bot_first + index, made, TIME_REF_S)
        return tasks

    async def open(self, task: TaskId, *, key: SessionKey | None = None, worker: KeySigner | None = None) -> TaskSecrets:
        """Get the secrets of a task into an enclave, as a worker whom the scheduler sent."""
        own = key or SessionKey(secrets.token_bytes)
        request = await self.request(task, own, worker=worker)
        return own.open(await self.scene.vault.sessions.open(request), request, self.scene.vault.id)

    async def request(
        self, task: TaskId, key: SessionKey, *, worker: KeySigner | None = None, challenge: Address | None = None
    ) -> SessionRequest:
        """Ask for a session; for a share of a task whose challenge another vault made, if that is given."""
        scene, who = self.scene, worker or self.scene.worker
        enclave = challenge or await scene.challenge(task)
        authorization = sign_authorization(scene.scheduler, who.address, task, enclave)
        wish = SessionWish(task_id=task, enclave=enclave, session_key=key.public, authorization=authorization)
        until = UnixSeconds(int(scene.now[0]) + 60)
        if challenge is None:
            return request_session(who, scene.vault.id, wish, nonce=fresh_nonce(), until=until)
        return request_session(who, scene.vault.id, wish, nonce=fresh_nonce(), until=until, act=SHARE_ACT)


async def make_terms_scene(settings: VaultSettings | None = None) -> TermsScene:
    """Make a vault in memory, on a chain with an app and a dataset."""
    return with_terms(await make_scene(settings))


def with_terms(scene: Scene) -> TermsScene:
    """Let the chain know the checksums of the app and the dataset."""
    scene.ledger.checksums[OrderKind.APP, APP] = CODE
    scene.ledger.checksums[OrderKind.DATASET, DATASET] = DATA
    assert scene.ledger.owners[OrderKind.DATASET, DATASET] == scene.dataset_owner.address
    return TermsScene(scene)
