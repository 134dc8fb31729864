"""
What an owner of data is told of: his rules, and what of a look at a dataset is news by them.

Pure: a look is handed in, with what was seen before. Something that happened is told once; something that is so is told when it begins to
be so, and again when it was over in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from voisin.client.data.conditions import read_span
from voisin.errors import InputError
from voisin.protocol.ids import Address, OrderHash, as_address
from voisin.protocol.vault_terms import DataRefusal, DataUse
from voisin.units import UnixSeconds, format_amount

HOUR_S: Final = 3_600
_MOST: Final = 2**53 - 1
_NEVER: Final = UnixSeconds(0)


class AlertKind(StrEnum):
    """What an owner can be told of."""

    USE = "use"
    """A new use."""
    RENTER = "renter"
    """A renter who is new, or uses it more often in an hour than the rules say."""
    REFUSED = "refused"
    """A use that the vault refused by the terms of use."""
    LOW = "low"
    """An offer with few uses left."""
    SPENT = "spent"
    """An offer with none left."""
    ENDING = "ending"
    """An offer whose time is soon over."""
    REVOKED = "revoked"
    """An offer that was revoked, by whoever has the owner's wallet."""
    EVIDENCE = "evidence"
    """What the last enclave's evidence was verified with, which soon expires: its maker publishes anew, or vaults refuse it."""
    WAITING = "waiting"
    """A result that waits for its release."""
    RESTORED = "restored"
    """The vault's records came back from an old backup: offers count once they are pushed again."""


class AlertRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What an owner wants to be told of.

    Attributes:
        tell: Of what; of everything unless given.
        low_uses: How many uses left are few.
        uses_per_hour: How many uses of one renter in an hour are unusual; 0 for no number.
        known_renters: Renters who are not unusual when they come first, by address.
        ends_within: How long before its end an offer ends soon, for example `3d`.
        evidence_within: How long before its end evidence expires soon.
        webhook: Where every alert is posted as JSON, an `https://` address; empty for nowhere.
    """

    tell: tuple[AlertKind, ...] = tuple(AlertKind)
    low_uses: int = 5
    uses_per_hour: int = 20
    known_renters: tuple[Address, ...] = ()
    ends_within: str = "3d"
    evidence_within: str = "14d"
    webhook: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "known_renters", tuple(as_address(each) for each in self.known_renters))
        for name in ("low_uses", "uses_per_hour"):
            if not 0 <= getattr(self, name) <= _MOST:
                raise InputError(f"{name} {getattr(self, name)} of the rules of alerts is out of range")
        read_span(self.ends_within)
        read_span(self.evidence_within)


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that an owner is told. Nothing in it is secret: it is on the chain, or in the vault's ledger.

    Attributes:
        kind: What it is about.
        at: When it happened, or was seen [Unix s].
        dataset: Of which dataset.
        words: What it is, in a sentence.
        order: Under which order; empty for none.
        task_id: Of which task; empty for none.
        renter: Of which renter; empty for none.
    """

    kind: AlertKind
    at: UnixSeconds
    dataset: Address
    words: str
    order: str = ""
    task_id: str = ""
    renter: str = ""

    @property
    def name(self) -> str:
        """What tells it from other alerts of the dataset."""
        return ":".join((self.kind, self.order, self.task_id, self.renter))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSeen:
    """An offer as a look finds it: uses in all and left, when it ends and when it was revoked (0 for not) [Unix s]."""

    order_hash: OrderHash
    uses: int
    left: int
    until: UnixSeconds
    revoked_at: UnixSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """
    A look at a dataset.

    Attributes:
        dataset: The dataset.
        at: When [Unix s].
        uses: Its uses of the last hour and since the last look; all of them at the first.
        refusals: Likewise what was refused.
        offers: Its offers.
        waiting: Uses whose results wait.
        evidence_until: When what the last use's evidence was verified with expires [Unix s]; 0 where it does not, or there is none.
        restored_at: When the vault's records were found restored [Unix s], if an offer does not count since; 0 for not.
    """

    dataset: Address
    at: UnixSeconds
    uses: tuple[DataUse, ...] = ()
    refusals: tuple[DataRefusal, ...] = ()
    offers: tuple[OfferSeen, ...] = ()
    waiting: tuple[DataUse, ...] = ()
    evidence_until: UnixSeconds = _NEVER
    restored_at: UnixSeconds = _NEVER


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was seen of a dataset before.

    Attributes:
        at: When it was looked at last [Unix s].
        begun_at: When it was looked at first [Unix s]: what happened before is no news.
        renters: Who used it.
        told: The alerts that were told, by name, and when they were news: what happened in the last hours, and what still is so.
    """

    at: UnixSeconds
    begun_at: UnixSeconds
    renters: tuple[Address, ...] = ()
    told: dict[str, UnixSeconds] = {}


def judge_look(rules: AlertRules, seen: Seen | None, look: Look) -> tuple[list[Alert], Seen]:
    """
    Tell what is news.

    Args:
        rules: The owner's rules.
        seen: What was seen before; None at the first look, when only what is so is told, and not what happened before.
        look: The look.

    Returns:
        The alerts, in the order of time, and what is seen now.
    """
    before = seen or Seen(at=look.at, begun_at=look.at, renters=tuple(sorted({use.requester for use in look.uses})))
    happened = [alert for alert in _happened(rules, before, look) if alert.at >= before.begun_at]
    standing = list(_standing(rules, look))
    wanted = [alert for alert in (*happened, *standing) if alert.kind in rules.tell]
    news = [alert for alert in wanted if alert.name not in before.told]
    kept = {alert.name: alert.at for alert in wanted}
    renters = tuple(sorted({*before.renters, *(use.requester for use in look.uses)}))
    return sorted(news, key=lambda alert: alert.at), Seen(at=look.at, begun_at=before.begun_at, renters=renters, told=kept)


def _happened(rules: AlertRules, before: Seen, look: Look) -> Iterator[Alert]:
    known = {*before.renters, *rules.known_renters}
    for use in sorted(look.uses, key=lambda use: use.at):
        price = format_amount(use.price)
        words = f"{use.requester} used it with app {use.app} for {price}{f', for {use.purpose!r}' if use.purpose else ''}"
        yield _of_use(AlertKind.USE, use, words)
        if use.requester not in known:
            known.add(use.requester)
            yield _of_use(AlertKind.RENTER, use, f"{use.requester} used it for the first time")
    for refusal in look.refusals:
        yield Alert(
            kind=AlertKind.REFUSED,
            at=refusal.at,
            dataset=look.dataset,
            words=f"{refusal.requester} was refused with app {refusal.app}: {refusal.reason}",
            task_id=refusal.task_id,
            renter=refusal.requester,
        )


def _standing(rules: AlertRules, look: Look) -> Iterator[Alert]:
    for offer in look.offers:
        yield from _of_offer(rules, look, offer)
    recent = Counter(use.requester for use in look.uses if use.at > look.at - HOUR_S)
    for renter, count in sorted(recent.items()):
        if rules.uses_per_hour and count > rules.uses_per_hour:
            words = f"{renter} used it {count} times in the last hour"
            yield Alert(kind=AlertKind.RENTER, at=look.at, dataset=look.dataset, words=words, renter=renter)
    for use in look.waiting:
        words = f"the result of task {use.task_id} waits for your release"
        yield Alert(kind=AlertKind.WAITING, at=look.at, dataset=look.dataset, words=words, task_id=use.task_id)
    if look.evidence_until and look.evidence_until < look.at + read_span(rules.evidence_within):
        words = f"what the last enclave's evidence was verified with expires at {look.evidence_until} (Unix s)"
        yield Alert(kind=AlertKind.EVIDENCE, at=look.at, dataset=look.dataset, words=words)
    if look.restored_at:
        words = f"the vault's records were restored at {look.restored_at} (Unix s): push its offers again with `voisin data confirm`"
        yield Alert(kind=AlertKind.RESTORED, at=look.at, dataset=look.dataset, words=words)


def _of_offer(rules: AlertRules, look: Look, offer: OfferSeen) -> Iterator[Alert]:
    name = offer.order_hash
    if offer.revoked_at:
        kind, words = AlertKind.REVOKED, f"order {name} was revoked at {offer.revoked_at} (Unix s)"
    elif not offer.left:
        kind, words = AlertKind.SPENT, f"all {offer.uses} uses of order {name} are spent"
    elif offer.left <= rules.low_uses and offer.left < offer.uses:
        kind, words = AlertKind.LOW, f"{offer.left} of {offer.uses} uses of order {name} are left"
    elif offer.until and look.at < offer.until < look.at + read_span(rules.ends_within):
        kind, words = AlertKind.ENDING, f"order {name} ends at {offer.until} (Unix s)"
    else:
        return
    yield Alert(kind=kind, at=look.at, dataset=look.dataset, words=words, order=name)


def _of_use(kind: AlertKind, use: DataUse, words: str) -> Alert:
    return Alert(kind=kind, at=use.at, dataset=use.dataset, words=words, order=use.order_hash, task_id=use.task_id, renter=use.requester)
