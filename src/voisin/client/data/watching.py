"""Watching datasets for their owner: looks at vault, chain and storage, what is news by his rules, and what he was told before."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from voisin.client.data.alerting import HOUR_S, Alert, AlertKind, AlertRules, Look, OfferSeen, Seen, judge_look
from voisin.client.data.owner import Owner
from voisin.client.data.reviews import results_that_wait
from voisin.client.data.rule_files import as_rules, read_rules
from voisin.client.data.vaults import terms_desk
from voisin.client.data.webhook import Webhook, host_of
from voisin.errors import StateError
from voisin.protocol.ids import Address
from voisin.protocol.vault_terms import DataUse, TermsPage
from voisin.units import UnixSeconds

AlertRulesLike = AlertRules | Mapping[str, object] | str | os.PathLike[str] | None
"""Rules of alerts: themselves, a mapping that spells them, the path of a `.toml` or `.json` file, or None for the usual ones."""
_SIMULATED: Final = "simulated"


class Memory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an owner was told: what was seen of each dataset, and the alerts that still have to reach the webhook."""

    seen: dict[Address, Seen] = {}
    undelivered: tuple[Alert, ...] = ()


def read_alert_rules(given: AlertRulesLike) -> AlertRules:
    """
    Read rules of alerts.

    Raises:
        InputError: They cannot be read, or say something that no rules can say.
    """
    if given is None or isinstance(given, AlertRules):
        return given or AlertRules()
    if isinstance(given, Mapping):
        return as_rules(given, AlertRules, "the rules of alerts")
    return read_rules(Path(given), AlertRules)


class Watchman:
    """Looks after the datasets of an owner. One at a time for a wallet: two would tell some of it twice."""

    def __init__(self, owner: Owner, rules: AlertRules) -> None:
        """
        Args:
            owner: The owner.
            rules: What he wants to be told of.

        Raises:
            InputError: The webhook's address is none.
        """
        self._owner = owner
        self._rules = rules
        if rules.webhook:
            host_of(rules.webhook)
        self._path = owner.diary.folder / f"{owner.links.chain.hub_address}-{owner.address}.alerts"

    async def watch(self, datasets: Sequence[Address]) -> AsyncGenerator[Alert, None]:
        """
        Look once, and tell what is news; that it was told is written down once the next one is asked for, and not before.

        Raises:
            UnavailableError: The vault, the chain or the storage does not answer; nothing is forgotten.
            InputError: What was seen before cannot be read or written.
            StateError: A library is missing that judges the enclaves' evidence.
        """
        for dataset in datasets:
            memory = self._remembered()
            before = memory.seen.get(dataset)
            news, now = judge_look(self._rules, before, await self._look_at(dataset, before))
            for alert in news:
                yield alert
                before = before or msgspec.structs.replace(now, told={})
                before = msgspec.structs.replace(before, told={**before.told, alert.name: alert.at})
                left = (*memory.undelivered, alert) if self._rules.webhook else ()
                memory = Memory(seen={**memory.seen, dataset: before}, undelivered=left)
                self._remember(memory)
            self._remember(msgspec.structs.replace(memory, seen={**memory.seen, dataset: now}))

    async def deliver(self) -> int:
        """
        Post what has not reached the webhook yet, the oldest first.

        Returns:
            How many alerts were posted.

        Raises:
            UnavailableError: It does not take one; that and those after it are kept.
        """
        if not self._rules.webhook:
            return 0
        memory, done = self._remembered(), 0
        async with Webhook(self._rules.webhook) as webhook:
            for alert in memory.undelivered:
                await webhook.post(alert)
                done += 1
                self._remember(msgspec.structs.replace(memory, undelivered=memory.undelivered[done:]))
        return done

    async def _look_at(self, dataset: Address, before: Seen | None) -> Look:
        desk, signer, now = terms_desk(self._owner.links), self._owner.signer, UnixSeconds(int(time.time()))
        since = 0 if before is None else max(0, before.at - HOUR_S)
        uses = tuple([use async for use in desk.uses(signer, dataset, since=since)])
        refusals = tuple([each async for each in desk.refusals(signer, dataset, since=since)])
        page = await desk.page(dataset)
        wants_waiting = AlertKind.WAITING in self._rules.tell
        return Look(
            dataset=dataset,
            at=now,
            uses=uses,
            refusals=refusals,
            offers=await self._offers(page),
            waiting=tuple(await results_that_wait(self._owner.links, uses)) if wants_waiting else (),
            evidence_until=await self._evidence_until(uses),
            restored_at=page.restored_at if page.pending else UnixSeconds(0),
        )

    async def _offers(self, page: TermsPage) -> tuple[OfferSeen, ...]:
        consumed = await self._owner.links.chain.hub.consumptions([entry.order_hash for entry in page.entries])
        return tuple(
            OfferSeen(
                order_hash=entry.order_hash,
                uses=min(entry.order.volume, entry.terms.uses or entry.order.volume),
                left=max(0, min(entry.order.volume, entry.terms.uses or entry.order.volume) - used),
                until=entry.terms.until,
                revoked_at=entry.revoked_at,
            )
            for entry, used in zip(page.entries, consumed, strict=True)
        )

    async def _evidence_until(self, uses: Sequence[DataUse]) -> UnixSeconds:
        """Tell when what the last real enclave's evidence was verified with expires; 0 where nothing does."""
        real = [use for use in uses if use.technology != _SIMULATED]
        if AlertKind.EVIDENCE not in self._rules.tell or not real:
            return UnixSeconds(0)
        from voisin.attestation import judge_again  # it needs libraries that take their time to load

        last = max(real, key=lambda use: use.at)
        try:
            verdicts = judge_again(await terms_desk(self._owner.links).evidence(last.task_id))
        except StateError as error:
            hint = "install it, or leave `evidence` out of `tell`"
            raise StateError(f"evidence cannot be judged here: {error.message}", hint=hint) from None
        return UnixSeconds(min((each.valid_until for each in verdicts if each.valid_until), default=0))

    def _remembered(self) -> Memory:
        return self._owner.diary.read_page(self._path, Memory) or Memory()

    def _remember(self, memory: Memory) -> None:
        self._owner.diary.write_page(self._path, memory)
