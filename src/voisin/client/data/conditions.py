"""
Conditions as an owner writes them, and what becomes of each: terms of use for vault and enclave, restrictions of an order for the hub,
and gates for what the hub can only ask of a contract.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypedDict, TypeVar

from voisin.client.data.rule_files import RuleLike, read_release_rule
from voisin.errors import InputError
from voisin.protocol.data_terms import EnclaveLevel, Privacy, Review, Subscription
from voisin.protocol.ids import Address, as_address
from voisin.protocol.release_rules import ReleaseRule
from voisin.units import NRLC, UnixSeconds, parse_amount

TimeLike = int | str | datetime
"""A time: Unix seconds, text such as `2026-12-31`, `2026-12-31T12:00`, `30d` or `12h` from now, or a `datetime` with a zone."""
SizeLike = int | str
"""A size: bytes, or text such as `1MB` or `64KiB`."""
AppLike = str | os.PathLike[str]
"""An app: its address, or the path of its code."""

DEFAULT_USES: Final = 1
MAX_USES: Final = 2**53 - 1
_URL = re.compile(r"https?://[^\s/]+\S*", re.ASCII)
_SPAN = re.compile(r"(\d{1,9})\s*(s|min|h|d)", re.ASCII)
_SPANS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_SIZE = re.compile(r"(\d{1,15})\s*(B|kB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_SIZES: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_UNCOUNTED: Final = frozenset({"uses", "uses_per_renter", "epsilon", "epsilon_per_renter", "review", "release_rule"})
_LEAST_NEEDED: Final = 2
_MICRO: Final = 1_000_000
WordT = TypeVar("WordT", bound=StrEnum)
ItemT = TypeVar("ItemT")


class DataConditions(TypedDict, total=False):
    """
    Conditions of use, each by keyword; all may be left out.

    Keys:
        price: Price of a use: nRLC as a number, or text such as `"0.1 RLC"`; free unless given.
        uses: How many uses in all; 1 unless given.
        bulk: Whether it may be used with others in one deal, for nothing and any number of times; nothing is counted then.
        uses_per_renter: How many of them one renter may have.
        not_before: From when on.
        until: Until when, exclusively.
        apps: Apps that may use it, each by its address or the path of its code; any unless given.
        pools: Workerpools whose machines may do it, by address; any unless given.
        requesters: Who may rent it, by address: one, several, or a group contract; anybody unless given.
        purposes: Texts, one of which the renter has to sign.
        max_output: Most that leaves the enclave.
        allow_network: Whether the app may reach a network; it may not unless given.
        enclave: `hardware`, or `simulated`, which hides nothing; hardware unless given.
        epsilon: Epsilon of differential privacy that one query may spend; the app's answers get noise.
        epsilon_per_renter: What all queries of one renter may spend.
        subscription: Price of a period, beside the price of each use; who does not subscribe does not use.
        period: Length of a period, for example `30d`.
        renewals: How often a subscriber may renew; any number unless given.
        review: `owner`: results wait until they are released; `rule`: those wait that a rule does not release.
        release_rule: Which results a rule releases: a `ReleaseRule`, a mapping, or the path of a file.
        revocable: Whether single renters can be shut out without cancelling the order.
        vaults: Addresses of vaults that keep the key together with the network's own: each gets a share, none the key.
        needed: How many of all these vaults give the key together; more than half unless given.
    """

    price: int | str
    uses: int
    bulk: bool
    uses_per_renter: int
    not_before: TimeLike
    until: TimeLike
    apps: Sequence[AppLike]
    pools: Sequence[str]
    requesters: Sequence[str]
    purposes: Sequence[str]
    max_output: SizeLike
    allow_network: bool
    enclave: str
    epsilon: float
    epsilon_per_renter: float
    subscription: int | str
    period: str
    renewals: int
    review: str
    release_rule: RuleLike
    revocable: bool
    vaults: Sequence[str]
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`DataConditions`, checked and complete; times in Unix seconds, 0 for none."""

    price: NRLC
    uses: int
    uses_per_renter: int
    not_before: UnixSeconds
    until: UnixSeconds
    apps: tuple[AppLike, ...]
    pools: tuple[Address, ...]
    requesters: tuple[Address, ...]
    purposes: tuple[str, ...]
    max_output_bytes: int
    allow_network: bool
    min_enclave: EnclaveLevel
    privacy: Privacy | None
    subscription: Subscription | None
    review: Review
    release_rule: ReleaseRule | None
    is_revocable: bool
    is_bulk: bool = False
    vaults: tuple[str, ...] = ()
    needed: int = 0

    def threshold(self, count: int) -> int:
        """
        Say how many of the vaults that keep a key together give it.

        Args:
            count: How many vaults there are; 0 where one keeps the key alone.

        Raises:
            InputError: So many are not there.
        """
        if not count:
            return 0
        needed = self.needed or count // 2 + 1
        if not _LEAST_NEEDED <= needed <= count:
            raise InputError(f"{needed} of {count} vaults cannot keep a key together", hint=f"from {_LEAST_NEEDED} to {count} of them")
        return needed

    @property
    def needs_gate(self) -> bool:
        """Whether the hub can enforce them only by asking a gate: an order knows no time, no list and no subscription."""
        has_time = bool(self.not_before or self.until)
        return has_time or self.is_revocable or self.subscription is not None or len(self.requesters) > 1


def read_conditions(given: DataConditions, *, now: UnixSeconds) -> Conditions:
    """
    Check conditions.

    Args:
        given: The conditions.
        now: What `30d` counts from [Unix s].

    Raises:
        InputError: One is unknown, contradicts another, or cannot be used.
    """
    unknown = sorted(given.keys() - DataConditions.__annotations__.keys())
    if unknown:
        near = get_close_matches(unknown[0], DataConditions.__annotations__)
        meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(DataConditions.__annotations__)}"
        raise InputError(f"there is no condition {unknown[0]!r}", hint=meant)
    found = Conditions(
        price=_money(given.get("price", 0)),
        uses=_whole("uses", given.get("uses", MAX_USES if given.get("bulk") else DEFAULT_USES), 1),
        uses_per_renter=_whole("uses_per_renter", given.get("uses_per_renter", 0), 0),
        not_before=read_time(given["not_before"], now) if "not_before" in given else UnixSeconds(0),
        until=read_time(given["until"], now) if "until" in given else UnixSeconds(0),
        apps=tuple(_listed("apps", given.get("apps", ()))),
        pools=_addresses("pools", given.get("pools", ())),
        requesters=_addresses("requesters", given.get("requesters", ())),
        purposes=tuple(_listed("purposes", given.get("purposes", ()))),
        max_output_bytes=read_size(given.get("max_output", 0)),
        allow_network=given.get("allow_network", False),
        min_enclave=_word(EnclaveLevel, "enclave", given.get("enclave", EnclaveLevel.HARDWARE)),
        privacy=_privacy(given),
        subscription=_subscription(given),
        review=_review(given),
        release_rule=read_release_rule(given["release_rule"]) if "release_rule" in given else None,
        is_revocable=given.get("revocable", False),
        is_bulk=given.get("bulk", False),
        vaults=tuple(_vault(url) for url in _listed("vaults", given.get("vaults", ()))),
        needed=_whole("needed", given["needed"], _LEAST_NEEDED) if "needed" in given else 0,
    )
    if found.needed and not found.vaults:
        raise InputError("one vault keeps the key alone", hint="name the other vaults with vaults, or leave needed out")
    if found.is_bulk and found.vaults:
        raise InputError("data that is used with others in one deal is kept by one vault", hint="leave vaults out, or bulk")
    if found.is_bulk and (found.price or _UNCOUNTED & given.keys()):
        words = "data that is used with others in one deal costs nothing, and nothing of it is counted or held"
        raise InputError(words, hint=f"leave out price, {', '.join(sorted(_UNCOUNTED))}, or bulk")
    if found.until and found.until <= now:
        raise InputError("the conditions end in the past", hint="give an end that is still to come")
    if found.subscription is not None and found.requesters:
        raise InputError("a subscription is open to whoever pays", hint="leave the requesters out, or the subscription")
    return found


def read_time(given: TimeLike, now: UnixSeconds) -> UnixSeconds:
    """
    Read a time.

    Args:
        given: The time, as `TimeLike` says.
        now: What a span counts from [Unix s].

    Raises:
        InputError: It is none.
    """
    if isinstance(given, int):
        return UnixSeconds(_whole("a time", given, 1))
    if isinstance(given, str):
        if span := _SPAN.fullmatch(given.strip()):
            return UnixSeconds(now + int(span[1]) * _SPANS[span[2]])
        try:
            given = datetime.fromisoformat(given.strip())
        except ValueError:
            raise InputError(f"{given!r} is not a time", hint="for example 2026-12-31, 2026-12-31T12:00 (UTC), or 30d") from None
        given = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
    if given.tzinfo is None:
        raise InputError("a time without zone is no time", hint="give it one, for example datetime.UTC")
    return UnixSeconds(int(given.timestamp()))


def read_span(text: str) -> int:
    """
    Read a length of time [s], for example `30d`, `12h`, `10min` or `90s`.

    Raises:
        InputError: It is none.
    """
    if not (span := _SPAN.fullmatch(text.strip())) or not int(span[1]):
        raise InputError(f"{text!r} is not a length of time", hint="for example 30d, 12h, 10min or 90s")
    return int(span[1]) * _SPANS[span[2]]


def read_size(given: SizeLike) -> int:
    """
    Read a size [bytes].

    Raises:
        InputError: It is none.
    """
    if isinstance(given, int):
        return _whole("a size", given, 0)
    if not (size := _SIZE.fullmatch(given.strip())):
        raise InputError(f"{given!r} is not a size", hint="for example 1MB, 64KiB or 1000")
    return int(size[1]) * _SIZES[size[2] or "B"]


def _privacy(given: DataConditions) -> Privacy | None:
    if "epsilon" not in given and "epsilon_per_renter" not in given:
        return None
    if "epsilon" not in given or "epsilon_per_renter" not in given:
        raise InputError("a privacy budget has two sides", hint="give epsilon and epsilon_per_renter")
    return Privacy(query_micro=_micro(given["epsilon"]), renter_micro=_micro(given["epsilon_per_renter"]))


def _micro(epsilon: float) -> int:
    if not 1 / _MICRO <= epsilon <= MAX_USES / _MICRO:
        raise InputError(f"{epsilon!r} is not an epsilon", hint="a number from 0.000001 up, for example 0.5")
    return round(epsilon * _MICRO)


def _subscription(given: DataConditions) -> Subscription | None:
    if "subscription" not in given:
        if "period" in given or "renewals" in given:
            raise InputError("a period and renewals belong to a subscription", hint="give its price as well")
        return None
    if "period" not in given:
        raise InputError("a subscription has a period", hint="for example 30d")
    return Subscription(
        price=_money(given["subscription"]),
        period_s=read_span(given["period"]),
        renewals=_whole("renewals", given.get("renewals", 0), 0),
    )


def _review(given: DataConditions) -> Review:
    has_rule = "release_rule" in given
    review = _word(Review, "review", given.get("review", Review.RULE if has_rule else Review.NONE))
    if (review is Review.RULE) is not has_rule:
        words = (
            "a review by rule needs a rule" if review is Review.RULE else f"there is a rule of release, and the review is {review.value!r}"
        )
        raise InputError(words, hint="give both: a review by rule, and the rule of release")
    return review


def _money(given: int | str) -> NRLC:
    return parse_amount(given) if isinstance(given, str) else NRLC(_whole("price", given, 0))


def _whole(name: str, value: object, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MAX_USES:
        raise InputError(f"{name} {value!r} is not a whole number from {least} up")
    return value


def _listed(name: str, given: Sequence[ItemT]) -> Sequence[ItemT]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise InputError(f"{name} is a list", hint=f"write [{given!r}]")
    return given


def _vault(url: str) -> str:
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise InputError(f"{str(url)[:80]!r} is not the address of a vault", hint="for example https://vault.example")
    return url.rstrip("/")


def _addresses(name: str, given: Sequence[str]) -> tuple[Address, ...]:
    return tuple(as_address(each) for each in _listed(name, given))


def _word(kind: type[WordT], name: str, given: str) -> WordT:
    try:
        return kind(given)
    except ValueError:
        raise InputError(f"{given!r} is not a value of {name}", hint=f"one of {', '.join(kind)}") from None
