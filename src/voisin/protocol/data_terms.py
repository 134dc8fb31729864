"""
Terms of use of a dataset: what its owner's signed order cannot say, and yet commits to.

A dataset order names price, volume and whom it restricts to. Everything else is in a `DataTerms`, whose id is the order's `salt`: so the
owner's signature of the order covers the terms, and whoever holds both can tell that they belong together. The vault judges a use by
them before it gives out the key, the enclave's runner before and after it runs the app, a client before it buys; all by
`voisin.protocol.data_use.broken_conditions`, each by the facts that it knows.

The id is the keccak-256 of the canonical JSON: members in alphabetical order, without blanks, without those at their default;
addresses in checksum form, hashes in lower case, lists sorted and without repetition.

Source: architecture.md; pool-semantics.md 4.1 (what the protocol's orders cannot say).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode
from voisin.protocol.data_schema import DataSchema
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, Hash32, as_address, as_hash32, hash32_of
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.release_rules import ReleaseRule
from voisin.protocol.tags import needs_enclave
from voisin.units import NRLC, UnixSeconds

MAX_TERMS_BYTES: Final = 65_536
"""Longest canonical JSON that is taken [bytes]."""
MAX_LISTED: Final = 256
"""Most entries of one list of the terms."""
MAX_NUMBER: Final = 2**53 - 1
"""Largest number in the terms: what every JSON reader keeps exactly."""
MAX_KEEPERS: Final = 16
"""Most vaults that share one key."""
_URL = re.compile(r"https?://[\x21-\x7e]{1,200}")
_PURPOSE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


class EnclaveLevel(StrEnum):
    """How well an enclave hides what is in it: a played one not at all."""

    SIMULATED = "simulated"
    HARDWARE = "hardware"

    def suffices_for(self, least: EnclaveLevel) -> bool:
        """Tell whether this level is at least another."""
        return self is EnclaveLevel.HARDWARE or least is EnclaveLevel.SIMULATED


class Review(StrEnum):
    """Whether a result goes to the renter at once, or once the owner, or a rule of the owner, releases it."""

    NONE = "none"
    OWNER = "owner"
    RULE = "rule"


class Privacy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What one query, and all queries of one renter, may reveal: epsilons of differential privacy [1e-6]; noise is added in the enclave.

    Attributes:
        query_micro: Epsilon of one query [1e-6].
        renter_micro: Sum of the epsilons of all queries of one renter [1e-6].
    """

    query_micro: int
    renter_micro: int

    def __post_init__(self) -> None:
        if not 1 <= self.query_micro <= self.renter_micro <= MAX_NUMBER:
            raise InputError(
                "a privacy budget has an epsilon per query, and per renter one that is no smaller", hint="for example 0.5 and 5"
            )


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Use for a time against a price, paid at the gate beside what each use costs.

    Attributes:
        price: Price of a period [nRLC].
        period_s: Length of a period [s].
        renewals: How often a renter may renew; 0 for as often as they like.
    """

    price: NRLC
    period_s: int
    renewals: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.price <= MAX_NUMBER or not 1 <= self.period_s <= MAX_NUMBER or not 0 <= self.renewals <= MAX_NUMBER:
            raise InputError("a subscription has a price, and a period of at least a second", hint="for example 1 RLC for 30 days")


class Keeper(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One of several vaults that each keep a share of the dataset's key.

    Attributes:
        vault: The address of the vault's own key.
        url: Where it is.
    """

    vault: Address
    url: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "vault", as_address(self.vault))
        if not _URL.fullmatch(self.url):
            raise InputError(f"{self.url[:80]!r} is not the address of a vault", hint="for example https://vault.example")


class DataTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Terms of use of a dataset. What is at its default does not restrict, except `min_enclave` and `allow_network`, whose defaults do.

    Attributes:
        dataset: The dataset's entry.
        nonce: Makes the terms unlike any other's, and with them their id and their order's hash.
        not_before: From when on it may be used [Unix s]; 0 for at once.
        until: Until when, exclusively [Unix s]; 0 for ever.
        uses: How many uses the order is good for, counted over all renters; 0 for as many as its volume.
        uses_per_renter: How many of them one requester may have; 0 for any number.
        apps: SHA-256 of the code of the apps that may use it, as the apps' registry has them as checksum.
        pools: Workerpools whose machines may do it; a group contract counts for its members.
        requesters: Who may rent it; a group contract counts for its members.
        gate: A group contract that must let the requester in, whatever else is said: it knows periods, subscriptions, revocations.
        purposes: Texts of which the requester signs one in the request's `voisin_purpose`.
        max_output_bytes: Most that leaves the enclave [bytes]: result, callback and printed text together; 0 for what the task allows.
        allow_network: Whether the app may reach a network.
        min_enclave: What enclave is good enough.
        privacy: What queries may reveal; None for apps that are trusted with the plain answer.
        subscription: What the gate asks a subscriber to pay; None for no subscription.
        review: Who releases results.
        release_rule: Which results a rule releases, where it is a rule that does; without one, all wait for the owner.
        schema: What may be known of the content; None for nothing.
        keepers: The vaults that each keep a share of the key; empty where one vault keeps all of it.
        threshold: How many of them give the key together; 0 without any.
    """

    dataset: Address
    nonce: Hash32 = ZERO_HASH
    not_before: UnixSeconds = UnixSeconds(0)
    until: UnixSeconds = UnixSeconds(0)
    uses: int = 0
    uses_per_renter: int = 0
    apps: tuple[Hash32, ...] = ()
    pools: tuple[Address, ...] = ()
    requesters: tuple[Address, ...] = ()
    gate: Address = ZERO_ADDRESS
    purposes: tuple[str, ...] = ()
    max_output_bytes: int = 0
    allow_network: bool = False
    min_enclave: EnclaveLevel = EnclaveLevel.HARDWARE
    privacy: Privacy | None = None
    subscription: Subscription | None = None
    review: Review = Review.NONE
    release_rule: ReleaseRule | None = None
    schema: DataSchema | None = None
    keepers: tuple[Keeper, ...] = ()
    threshold: int = 0

    def __post_init__(self) -> None:
        canonical: dict[str, object] = {
            "dataset": as_address(self.dataset),
            "nonce": as_hash32(self.nonce),
            "gate": as_address(self.gate),
            "apps": _listed("apps", (as_hash32(app) for app in self.apps)),
            "pools": _listed("pools", (as_address(pool) for pool in self.pools)),
            "requesters": _listed("requesters", (as_address(requester) for requester in self.requesters)),
            "purposes": _listed("purposes", (_purpose(text) for text in self.purposes)),
        }
        for name, value in canonical.items():
            msgspec.structs.force_setattr(self, name, value)
        for name in ("not_before", "until", "uses", "uses_per_renter", "max_output_bytes"):
            if not 0 <= getattr(self, name) <= MAX_NUMBER:
                raise InputError(f"{name} {getattr(self, name)} is out of range", hint="it lies between 0 and 2^53 - 1")
        if self.until and self.until <= self.not_before:
            raise InputError("the terms end before they begin", hint="give an end after the beginning")
        if self.subscription is not None and self.gate == ZERO_ADDRESS:
            raise InputError("a subscription is paid at a gate, and the terms name none", hint="deploy a gate, and name it")
        if self.release_rule is not None and self.review is not Review.RULE:
            raise InputError("a rule releases results that wait for a rule alone", hint="ask for a review by rule")
        self._check_keepers()

    def _check_keepers(self) -> None:
        names = {keeper.vault for keeper in self.keepers}
        if len(names) != len(self.keepers) or len(names) > MAX_KEEPERS:
            raise InputError("a vault is named twice, or too many are", hint=f"name each once, and at most {MAX_KEEPERS}")
        if not min(1, len(names)) <= self.threshold <= len(names):
            raise InputError(f"{self.threshold} of {len(names)} vaults do not keep a key together", hint="for example 2 of 3")

    @property
    def id(self) -> Hash32:
        """The terms' id, which is the salt of the order that commits to them."""
        return hash32_of(encode_terms(self))


def encode_terms(terms: DataTerms) -> bytes:
    """Write terms as canonical JSON; its keccak-256 is their id."""
    return msgspec.json.encode(_spelled(terms), order="sorted")


def read_terms(data: bytes) -> DataTerms:
    """
    Read terms, canonical or not.

    Raises:
        InputError: They are malformed, too long, contradict themselves, or hold a condition that this program does not know.
    """
    if len(data) > MAX_TERMS_BYTES:
        raise InputError(f"terms of use of {len(data)} bytes are not read", hint=f"at most {MAX_TERMS_BYTES} are")
    return decode(data, DataTerms, "the terms of use")


def require_commitment(terms: DataTerms, order: DatasetOrder) -> None:
    """
    See that an order commits to terms, and enforces on the chain what it can.

    Raises:
        TrustError: It is about another dataset, has another salt, asks for no enclave, or does not name the terms' gate.
    """
    wrong = (
        "is about another dataset"
        if order.dataset != terms.dataset
        else "does not commit to them: its salt is not their id"
        if order.salt != terms.id
        else "asks for no enclave: its tag has no tee"
        if not needs_enclave(order.tag)
        else "does not restrict requesters to the gate that they name"
        if terms.gate not in (ZERO_ADDRESS, order.requesterrestrict)
        else ""
    )
    if wrong:
        raise TrustError(f"the order does not belong to the terms of use: it {wrong}", hint="sign an order made for these terms")


def _spelled(value: object) -> object:
    """Leave out what is at its default. The library's own `omit_defaults` goes by identity, which says nothing of texts."""
    if isinstance(value, msgspec.Struct):
        fields = [(field, getattr(value, field.name)) for field in msgspec.structs.fields(value)]
        return {field.encode_name: _spelled(held) for field, held in fields if held != _default(field)}
    if isinstance(value, dict):
        return {name: _spelled(held) for name, held in value.items()}
    return [_spelled(each) for each in value] if isinstance(value, tuple) else value


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _listed(name: str, values: Iterable[str]) -> tuple[str, ...]:
    found = tuple(sorted(set(values)))
    if len(found) > MAX_LISTED:
        raise InputError(f"the terms list {len(found)} {name}", hint=f"at most {MAX_LISTED}; a group contract holds any number of accounts")
    return found


def _purpose(text: str) -> str:
    if not _PURPOSE.fullmatch(text) or text != text.strip():
        raise InputError(f"{text[:40]!r} is not a purpose", hint="a purpose is one line of 1 to 200 characters")
    return text
