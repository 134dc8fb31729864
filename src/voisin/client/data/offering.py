"""
An offer of a dataset: from conditions to terms of use, the order that commits to them, and the gates that the hub is to ask.

Pure: what has to be looked up or deployed first is named here, and handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from voisin.chain.gates import GateTerms
from voisin.client.data.conditions import Conditions
from voisin.errors import StateError
from voisin.protocol.data_schema import DataSchema
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.tags import Tag, tag_of

OFFER_TAG: Final[Tag] = tag_of(("tee",))
"""What every offer with terms of use asks of a machine: an enclave."""


@dataclass(frozen=True, slots=True)
class AllowedApp:
    """An app that may use the data: SHA-256 of its code, and its entry if one entry is meant."""

    checksum: Hash32
    entry: Address | None


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of an offer, zero for none: of its requesters, and of its apps and pools where there is more than one of a kind."""

    requesters: Address = ZERO_ADDRESS
    roster: Address = ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class GatePlan:
    """A gate that an offer needs: what it is, and who is a member from the beginning."""

    terms: GateTerms
    members: tuple[Address, ...]


def plan_gate(conditions: Conditions, dataset: Address, token: Address) -> GatePlan | None:
    """Say which gate the requesters of an offer need; None when the order itself can say who they are."""
    if not conditions.needs_gate:
        return None
    paid = conditions.subscription
    terms = GateTerms(
        entry=dataset,
        token=token,
        begins=conditions.not_before,
        ends=conditions.until,
        is_public=not conditions.requesters and paid is None,
    )
    if paid is not None:
        terms = GateTerms(
            entry=dataset,
            token=token,
            begins=conditions.not_before,
            ends=conditions.until,
            price=paid.price,
            period_s=paid.period_s,
            renewals=paid.renewals,
        )
    return GatePlan(terms, conditions.requesters)


def plan_roster(conditions: Conditions, apps: tuple[AllowedApp, ...], dataset: Address, token: Address) -> GatePlan | None:
    """Say which gate the apps and workerpools of an offer need; None when there is at most one of each."""
    listed = [entries for entries in (_entries(apps), conditions.pools) if len(entries) > 1]
    if not listed:
        return None
    return GatePlan(GateTerms(entry=dataset, token=token), tuple(dict.fromkeys(entry for entries in listed for entry in entries)))


def require_gate(terms: DataTerms, found: GateTerms, token: Address) -> None:
    """
    See that a gate sells what the terms of use that name it say, before anything is paid there.

    Args:
        terms: The terms of use.
        found: What the gate is.
        token: What this market pays in.

    Raises:
        StateError: It sells something else: less time for the price, for example.
    """
    paid = terms.subscription
    said = None if paid is None else (terms.dataset, token, terms.not_before, terms.until, paid.price, paid.period_s, paid.renewals)
    if said != (found.entry, found.token, found.begins, found.ends, found.price, found.period_s, found.renewals):
        raise StateError(f"the gate {terms.gate} asks for something else than the terms of use say", hint="do not pay there")


def make_terms(
    conditions: Conditions, dataset: Address, *, apps: tuple[AllowedApp, ...], gates: Gates, schema: DataSchema | None, nonce: Hash32
) -> DataTerms:
    """
    Write the terms of use of an offer.

    Args:
        conditions: What the owner wants.
        dataset: The dataset.
        apps: The apps that the conditions name, looked up.
        gates: The gates, deployed.
        schema: What a renter may see.
        nonce: 32 random bytes.
    """
    return DataTerms(
        dataset=dataset,
        nonce=nonce,
        not_before=conditions.not_before,
        until=conditions.until,
        uses=0 if conditions.is_bulk else conditions.uses,
        uses_per_renter=conditions.uses_per_renter,
        apps=tuple(app.checksum for app in apps),
        pools=conditions.pools,
        requesters=() if gates.requesters != ZERO_ADDRESS else conditions.requesters,
        gate=gates.requesters,
        purposes=conditions.purposes,
        max_output_bytes=conditions.max_output_bytes,
        allow_network=conditions.allow_network,
        min_enclave=conditions.min_enclave,
        privacy=conditions.privacy,
        subscription=conditions.subscription,
        review=conditions.review,
        release_rule=conditions.release_rule,
        schema=schema,
    )


def make_order(conditions: Conditions, terms: DataTerms, *, apps: tuple[AllowedApp, ...], gates: Gates) -> DatasetOrder:
    """Write the order that commits to terms of use, unsigned, with all restrictions that the hub can enforce."""
    requesters = conditions.requesters
    return DatasetOrder(
        dataset=terms.dataset,
        datasetprice=conditions.price,
        volume=conditions.uses,
        tag=OFFER_TAG,
        apprestrict=_restriction(_entries(apps), gates.roster),
        workerpoolrestrict=_restriction(conditions.pools, gates.roster),
        requesterrestrict=gates.requesters if gates.requesters != ZERO_ADDRESS else requesters[0] if requesters else ZERO_ADDRESS,
        salt=terms.id,
    )


def _entries(apps: tuple[AllowedApp, ...]) -> tuple[Address, ...]:
    """Name the apps' entries; none when one of them may have any entry, because then only its code is asked for."""
    entries = tuple(app.entry for app in apps if app.entry is not None)
    return entries if len(entries) == len(apps) else ()


def _restriction(entries: tuple[Address, ...], roster: Address) -> Address:
    return ZERO_ADDRESS if not entries else entries[0] if len(entries) == 1 else roster
