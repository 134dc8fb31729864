"""
Granting and revoking access to a dataset: gates are deployed, terms and order pushed to the vault, and the order published, in this order.

The vault has the terms before anybody can match the order; a failure in between leaves an order that nobody knows.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from voisin.chain import calls, gates
from voisin.chain.gates import ALWAYS, MAX_GRANTS
from voisin.client.apps import find_app
from voisin.client.data.conditions import AppLike, Conditions, DataConditions, read_conditions
from voisin.client.data.drafts import OfferNote
from voisin.client.data.offering import AllowedApp, GatePlan, Gates, make_order, make_terms, plan_gate, plan_roster
from voisin.client.data.owner import Owner
from voisin.client.data.protecting import require_owner
from voisin.client.data.steps import Step, Told
from voisin.client.data.vaults import entrust, name_keepers, open_vaults, revoke_at, terms_desk, vaults_of
from voisin.errors import InputError, StateError, UnavailableError
from voisin.protocol.api import OrderStatus, PublishedDatasetOrder
from voisin.protocol.codec import encode
from voisin.protocol.data_schema import DataSchema
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.eip712 import Operation, sign_order
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash, to_hex
from voisin.protocol.orders import DatasetOrder, OrderKind
from voisin.protocol.release_rules import ReleaseRule
from voisin.protocol.vault_terms import TermsEntry, TermsPush
from voisin.units import UnixSeconds

_GONE: Final = (OrderStatus.CANCELLED, OrderStatus.FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """
    An access that was granted: an order in the market's book with its terms.

    Attributes:
        order_hash: The order's hash.
        order: The order.
        remaining: How many uses are left.
        status: What the market says of it.
        terms: Its terms of use; None for an order without, as the protocol's other clients make them.
        revoked_at: When the vault was told to give no key for it any more [Unix s]; 0 for not.
    """

    order_hash: OrderHash
    order: DatasetOrder
    remaining: int
    status: OrderStatus
    terms: DataTerms | None
    revoked_at: UnixSeconds

    @property
    def is_open(self) -> bool:
        """Whether somebody can still use it."""
        return self.status is OrderStatus.OPEN and not self.revoked_at


@dataclass(frozen=True, slots=True)
class Confirmed:
    """An order that was pushed again: why the vault does not take it any more, or nothing."""

    order_hash: OrderHash
    refused: str = ""


class Access:
    """Who may use the datasets of one wallet."""

    def __init__(self, owner: Owner) -> None:
        """
        Args:
            owner: The owner.
        """
        self._owner = owner
        self._links, self._diary, self._tell = owner.links, owner.diary, owner.tell

    async def grant(self, dataset: Address, given: DataConditions, *, key: str, schema: DataSchema | None, now: UnixSeconds) -> Granted:
        """
        Offer a dataset; an offer on the same conditions that is still open is the one that is meant.

        Args:
            dataset: The dataset.
            given: On which conditions.
            key: Its key; empty when the vault has it.
            schema: What a renter may see.
            now: The time [Unix s].

        Raises:
            InputError: A condition cannot be met, or the market refuses the order.
            StateError: The wallet does not own the dataset, or the vault has no key of it.
            TrustError: The vault has another key of it.
        """
        await require_owner(self._links, dataset, self._owner.address)
        asked = read_conditions(given, now=now)
        apps = tuple([await self._app(app) for app in asked.apps])
        wish = _wish(given, apps, schema, asked.release_rule)
        note = self._diary.offers(dataset).get(wish)
        if note is not None and note.order_hash is not None:
            found = next((each for each in await self.granted(dataset) if each.order_hash == note.order_hash), None)
            if found is not None:
                self._tell(Told(Step.OFFERED, found.order_hash, is_new=False))
                return found
            note = None
        if note is None:
            note = OfferNote(begun_at=now, nonce=Hash32(to_hex(secrets.token_bytes(32))))
            self._diary.note(dataset, wish, note)
        conditions = read_conditions(given, now=note.begun_at)
        note = await self._with_gates(dataset, wish, note, conditions, apps)
        made = Gates(note.gate or ZERO_ADDRESS, note.roster or ZERO_ADDRESS)
        async with open_vaults(self._links, conditions.vaults) as desks:
            keepers = await name_keepers(desks)
            alone = make_terms(conditions, dataset, apps=apps, gates=made, schema=schema, nonce=note.nonce)
            terms = replace(alone, keepers=keepers, threshold=conditions.threshold(len(keepers)))
            order = sign_order(make_order(conditions, terms, apps=apps, gates=made), self._links.chain.domain, self._owner.signer)
            entry = await entrust(desks, self._owner.signer, TermsPush(order=order, terms=terms, key=key))
        self._tell(Told(Step.ENTRUSTED, entry.order_hash))
        published = await self._links.book.publish(order)
        self._diary.note(dataset, wish, replace(note, order_hash=published.hash, terms=terms))
        self._tell(Told(Step.OFFERED, published.hash))
        return Granted(
            order_hash=published.hash,
            order=order,
            remaining=published.remaining,
            status=published.status,
            terms=terms,
            revoked_at=UnixSeconds(0),
        )

    async def confirm(self, dataset: Address, *, key: str) -> list[Confirmed]:
        """
        Push the open orders again that the vault has forgotten, or does not count since its records were restored.

        Args:
            dataset: The dataset.
            key: Its key; empty when the vault has it.

        Returns:
            What came of each; empty when the vault has forgotten nothing.
        """
        desk = terms_desk(self._links)
        page = await desk.page(dataset)
        entries = {entry.order_hash: entry for entry in page.entries}
        kept = {note.order_hash: note.terms for note in self._diary.offers(dataset).values()}
        revoked = {note.order_hash for note in self._diary.offers(dataset).values() if note.is_revoked}
        done = []
        for each in await self.granted(dataset):
            entry = entries.get(each.order_hash)
            terms = kept.get(each.order_hash) or (entry.terms if entry is not None else None)
            is_forgotten = entry is None or entry in page.pending
            if terms is None or not is_forgotten or each.order_hash in revoked:
                continue
            try:
                async with vaults_of(self._links, terms) as desks:
                    await entrust(desks, self._owner.signer, TermsPush(order=each.order, terms=terms, key=key))
            except StateError as error:
                done.append(Confirmed(each.order_hash, str(error)))
            else:
                done.append(Confirmed(each.order_hash))
        return done

    async def admit(self, gate: Address, accounts: list[Address], *, begins: UnixSeconds = ALWAYS, ends: UnixSeconds = ALWAYS) -> None:
        """
        Let accounts pass a gate.

        Args:
            gate: The gate.
            accounts: Who.
            begins: From when on [Unix s]; 0 for at once.
            ends: Until when, exclusively [Unix s]; 0 for ever.

        Raises:
            InputError: There is no gate.
            RevertError: The wallet does not own it.
        """
        await gates.read_gate(self._links.chain.rpc, gate)
        for first in range(0, len(accounts), MAX_GRANTS):
            await self._owner.wallet.sender.send(gates.grant(gate, accounts[first : first + MAX_GRANTS], begins, ends))

    async def revoke(self, dataset: Address, granted: Granted) -> None:
        """
        Take an access back: the vault gives no key any more, and the order is closed on the chain. What of this is done is not done again.

        Raises:
            StateError: The wallet does not own the dataset.
            UnavailableError: A vault did not hear of it; the order is closed, and tasks that are under way may still get what it keeps.
        """
        await require_owner(self._links, dataset, self._owner.address)
        for wish, note in self._diary.offers(dataset).items():
            if note.order_hash == granted.order_hash:
                self._diary.note(dataset, wish, replace(note, is_revoked=True))
        silent: list[str] = []
        if granted.terms is not None and (granted.terms.keepers or not granted.revoked_at):
            async with vaults_of(self._links, granted.terms) as desks:
                silent = await revoke_at(desks, self._owner.signer, dataset, granted.order_hash)
        chain = self._links.chain
        (consumed,) = await chain.hub.consumptions([granted.order_hash])
        if consumed < granted.order.volume:
            await self._owner.wallet.sender.send(calls.manage_order(chain.hub_address, granted.order, Operation.CLOSE))
        if silent:
            raise UnavailableError(f"{' and '.join(silent)} did not hear of the revocation", hint="revoke again later")

    async def shut_out(self, granted: Granted, renter: Address) -> bool:
        """
        Shut one renter out of an access, if a gate of ours stands before it; who paid for time gets back what is not used.

        Returns:
            Whether there is such a gate.
        """
        gate = granted.terms.gate if granted.terms is not None else ZERO_ADDRESS
        if gate == ZERO_ADDRESS:
            return False
        chain = self._links.chain
        terms, _ = await gates.read_gate(chain.rpc, gate)
        member = await gates.read_member(chain.rpc, gate, renter)
        if not member.is_revoked:
            await self._owner.wallet.sender.send(gates.revoke(gate, renter, token=terms.token, refund=member.refund))
        return True

    async def granted(self, dataset: Address, *, is_open: bool = True) -> list[Granted]:
        """
        List the accesses to a dataset, the cheapest first.

        Args:
            dataset: The dataset.
            is_open: Only those that can still be used; otherwise those that were closed or used up as well.
        """
        known = {} if self._links.vault is None else {each.order_hash: each for each in await terms_desk(self._links).of_dataset(dataset)}
        found: list[Granted] = []
        for status in (OrderStatus.OPEN,) if is_open else (OrderStatus.OPEN, *_GONE):
            filters = {"dataset": dataset, "app": "any", "workerpool": "any", "requester": "any"}
            async for each in self._links.book.orders(OrderKind.DATASET, filters, status=status):
                if isinstance(each, PublishedDatasetOrder):
                    found.append(_granted(each, known.get(each.hash)))
        return [each for each in found if each.is_open or not is_open]

    async def _app(self, app: AppLike) -> AllowedApp:
        """Look an app up: an entry of the registry, or code whose entry does not count."""
        target = await find_app(self._links.chain, self._owner.address, app)
        if not _is_code(target.info.checksum):
            raise InputError(f"nothing is known of the code of app {target.address}", hint="allow an app that is WebAssembly")
        return AllowedApp(target.info.checksum, target.address if target.file is None else None)

    async def _with_gates(
        self, dataset: Address, wish: str, note: OfferNote, conditions: Conditions, apps: tuple[AllowedApp, ...]
    ) -> OfferNote:
        """Deploy the gates that an offer needs and has not."""
        token = self._links.chain.token_address
        if conditions.subscription is not None and token == ZERO_ADDRESS:
            raise InputError("this market's money is the chain's own coin", hint="subscriptions are paid in a token: leave it out")
        if note.gate is None:
            note = self._diary.note(dataset, wish, replace(note, gate=await self._deploy(plan_gate(conditions, dataset, token))))
        if note.roster is None:
            note = self._diary.note(dataset, wish, replace(note, roster=await self._deploy(plan_roster(conditions, apps, dataset, token))))
        return note

    async def _deploy(self, plan: GatePlan | None) -> Address:
        if plan is None:
            return ZERO_ADDRESS
        receipt = await self._owner.wallet.sender.send(gates.deploy_gate(plan.terms))
        if receipt.contract is None:
            raise StateError(f"the transaction {receipt.tx_hash} deployed no gate", hint="look at it on the chain")
        if plan.members:
            await self.admit(receipt.contract, list(plan.members))
        self._tell(Told(Step.GATE_DEPLOYED, receipt.contract))
        return receipt.contract


def _granted(found: PublishedDatasetOrder, entry: TermsEntry | None) -> Granted:
    """Join what market and vault say of an order. That both speak of the same is its hash's word, and that of its salt."""
    terms = entry.terms if entry is not None and entry.terms.id == found.order.salt else None
    return Granted(
        order_hash=found.hash,
        order=found.order,
        remaining=found.remaining,
        status=found.status,
        terms=terms,
        revoked_at=entry.revoked_at if entry is not None else UnixSeconds(0),
    )


def _wish(given: DataConditions, apps: tuple[AllowedApp, ...], schema: DataSchema | None, rule: ReleaseRule | None) -> str:
    """Tell an offer by what was asked for, as it was spelled: `30d` is the same wish tomorrow. Of a rule, what its file says counts."""
    spelled = sorted((name, str(value)) for name, value in given.items() if name != "release_rule")
    said = (spelled, [app.checksum for app in apps], schema)
    return hashlib.sha256(encode(said if rule is None else (*said, rule))).hexdigest()


def _is_code(checksum: Hash32) -> bool:
    return int(checksum, 16) != 0
