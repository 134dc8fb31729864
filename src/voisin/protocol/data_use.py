"""
Judging a use of a dataset by its terms: which condition it breaks, in words that can be shown to whoever is refused.

One judgement for all: the vault before a key goes out, the runner of an enclave around the app, a client before it buys. Each knows
other facts, and says which conditions it answers for. A condition that is judged without its fact is broken: nobody lets pass what
he could not see.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.evidence import Evidence, SimulatedEvidence
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32
from voisin.units import UnixSeconds


class Condition(StrEnum):
    """What terms of use can ask for, in the order in which it is judged."""

    DATASET = "dataset"
    NOT_BEFORE = "not-before"
    UNTIL = "until"
    APPS = "apps"
    POOLS = "pools"
    REQUESTERS = "requesters"
    GATE = "gate"
    PURPOSES = "purposes"
    ENCLAVE = "enclave"
    NETWORK = "network"
    USES = "uses"
    USES_PER_RENTER = "uses-per-renter"
    PRIVACY = "privacy"
    OUTPUT = "output"


BEFORE_BUYING: Final = frozenset(
    {
        Condition.DATASET,
        Condition.NOT_BEFORE,
        Condition.UNTIL,
        Condition.APPS,
        Condition.POOLS,
        Condition.REQUESTERS,
        Condition.GATE,
        Condition.PURPOSES,
    }
)
"""What a renter's client can tell before it buys."""
BEFORE_RELEASE: Final = frozenset(Condition) - {Condition.NETWORK, Condition.OUTPUT}
"""What a vault answers for, at each release of a key."""
INSIDE: Final = frozenset({Condition.DATASET, Condition.APPS, Condition.PURPOSES, Condition.ENCLAVE, Condition.NETWORK})
"""What an enclave's runner answers for before it runs the app; once it ran, `Condition.OUTPUT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """
    Facts of one use, a task; None for what the one who judges does not know.

    Attributes:
        dataset: The dataset that is used.
        at: When, by the chain's clock [Unix s].
        app: SHA-256 of the app's code.
        pool: The workerpool.
        requester: Who rents.
        members: Which memberships the chain confirmed: pairs of a group contract and an account.
        purpose: What the requester signed as purpose; empty for nothing.
        enclave: What the enclave's evidence showed.
        has_network: Whether the app can reach a network.
        number: How many uses of the order come before this one.
        number_of_renter: How many of them are this requester's.
        privacy_spent_micro: Epsilon that this requester's earlier uses spent [1e-6].
        output_bytes: What would leave the enclave [bytes].
    """

    dataset: Address | None = None
    at: UnixSeconds | None = None
    app: Hash32 | None = None
    pool: Address | None = None
    requester: Address | None = None
    members: frozenset[tuple[Address, Address]] = frozenset()
    purpose: str | None = None
    enclave: EnclaveLevel | None = None
    has_network: bool | None = None
    number: int | None = None
    number_of_renter: int | None = None
    privacy_spent_micro: int | None = None
    output_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """A condition that a use breaks, and how."""

    condition: Condition
    reason: str


def broken_conditions(terms: DataTerms, use: Use, *, judged: Collection[Condition] = frozenset(Condition)) -> tuple[Broken, ...]:
    """
    Tell which conditions a use breaks.

    Args:
        terms: The terms of use.
        use: What is known of the use.
        judged: The conditions that the caller answers for.

    Returns:
        What is broken, in the order of `Condition`; empty when the use is allowed.
    """
    return tuple(Broken(condition, reason) for condition in Condition if condition in judged and (reason := _JUDGES[condition](terms, use)))


def memberships(terms: DataTerms, *, pool: Address | None, requester: Address | None) -> tuple[tuple[Address, Address], ...]:
    """
    List what is to be asked of the chain before a use can be judged: pairs of a group contract and an account.

    Whether an address that the terms list is a group or one account alone is the chain's to say: what has no code has no members.
    """
    asked = [(group, pool) for group in terms.pools if pool is not None and group != pool]
    asked += [(group, requester) for group in terms.requesters if requester is not None and group != requester]
    if terms.gate != ZERO_ADDRESS and requester is not None:
        asked.append((terms.gate, requester))
    return tuple(asked)


def level_of(evidence: Evidence) -> EnclaveLevel:
    """Say how good the enclave is whose evidence this is, once it is verified."""
    return EnclaveLevel.SIMULATED if isinstance(evidence, SimulatedEvidence) else EnclaveLevel.HARDWARE


def _dataset(terms: DataTerms, use: Use) -> str:
    return "" if use.dataset == terms.dataset else f"the terms are about dataset {terms.dataset}, not {use.dataset or 'an unknown one'}"


def _not_before(terms: DataTerms, use: Use) -> str:
    if not terms.not_before or (use.at is not None and use.at >= terms.not_before):
        return ""
    return f"it may be used from {terms.not_before} on, and it is {_known(use.at)}"


def _until(terms: DataTerms, use: Use) -> str:
    if not terms.until or (use.at is not None and use.at < terms.until):
        return ""
    return f"it might be used until {terms.until}, and it is {_known(use.at)}"


def _apps(terms: DataTerms, use: Use) -> str:
    if not terms.apps or use.app in terms.apps:
        return ""
    return f"the app's code {_known(use.app)} is not one of the {len(terms.apps)} that are allowed"


def _pools(terms: DataTerms, use: Use) -> str:
    if not terms.pools or _is_listed(use.pool, terms.pools, use):
        return ""
    return f"the workerpool {_known(use.pool)} is not one of those that are allowed"


def _requesters(terms: DataTerms, use: Use) -> str:
    if not terms.requesters or _is_listed(use.requester, terms.requesters, use):
        return ""
    return f"the requester {_known(use.requester)} is not one of those that are allowed"


def _gate(terms: DataTerms, use: Use) -> str:
    if terms.gate == ZERO_ADDRESS or (use.requester is not None and (terms.gate, use.requester) in use.members):
        return ""
    what = (
        "has no paid period, is past its time, or was revoked" if terms.subscription else "is no member, is past its time, or was revoked"
    )
    return f"the gate {terms.gate} does not let in {_known(use.requester)}, who {what}"


def _purposes(terms: DataTerms, use: Use) -> str:
    if not terms.purposes or use.purpose in terms.purposes:
        return ""
    said = f"the purpose {use.purpose!r}" if use.purpose else "no purpose"
    return f"the requester signed {said}; allowed are {', '.join(repr(purpose) for purpose in terms.purposes)}"


def _enclave(terms: DataTerms, use: Use) -> str:
    if use.enclave is not None and use.enclave.suffices_for(terms.min_enclave):
        return ""
    return f"the enclave is {_known(use.enclave)}, and a {terms.min_enclave} one is asked for"


def _network(terms: DataTerms, use: Use) -> str:
    return "" if terms.allow_network or use.has_network is False else "the app could reach a network"


def _uses(terms: DataTerms, use: Use) -> str:
    if not terms.uses or (use.number is not None and use.number < terms.uses):
        return ""
    return f"all {terms.uses} uses are taken: this would be {_ordinal(use.number)}"


def _uses_per_renter(terms: DataTerms, use: Use) -> str:
    if not terms.uses_per_renter or (use.number_of_renter is not None and use.number_of_renter < terms.uses_per_renter):
        return ""
    return f"each requester has {terms.uses_per_renter} uses: this would be {_ordinal(use.number_of_renter)} of theirs"


def _privacy(terms: DataTerms, use: Use) -> str:
    budget = terms.privacy
    if budget is None:
        return ""
    if use.privacy_spent_micro is not None and use.privacy_spent_micro + budget.query_micro <= budget.renter_micro:
        return ""
    spent = "an unknown part" if use.privacy_spent_micro is None else f"{use.privacy_spent_micro / 1e6:g}"
    return f"the requester's privacy budget of {budget.renter_micro / 1e6:g} does not suffice: {spent} of it is spent"


def _output(terms: DataTerms, use: Use) -> str:
    if not terms.max_output_bytes or (use.output_bytes is not None and use.output_bytes <= terms.max_output_bytes):
        return ""
    return f"the output has {_known(use.output_bytes)} bytes, and at most {terms.max_output_bytes} may leave the enclave"


def _is_listed(account: Address | None, listed: Collection[Address], use: Use) -> bool:
    return account is not None and (account in listed or any((group, account) in use.members for group in listed))


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _ordinal(before: int | None) -> str:
    return "one of unknown number" if before is None else f"number {before + 1}"


_JUDGES: Final[dict[Condition, Callable[[DataTerms, Use], str]]] = {
    Condition.DATASET: _dataset,
    Condition.NOT_BEFORE: _not_before,
    Condition.UNTIL: _until,
    Condition.APPS: _apps,
    Condition.POOLS: _pools,
    Condition.REQUESTERS: _requesters,
    Condition.GATE: _gate,
    Condition.PURPOSES: _purposes,
    Condition.ENCLAVE: _enclave,
    Condition.NETWORK: _network,
    Condition.USES: _uses,
    Condition.USES_PER_RENTER: _uses_per_renter,
    Condition.PRIVACY: _privacy,
    Condition.OUTPUT: _output,
}
