"""Any four orders: mostly such that fit each other, with faults in their fields and in their signatures."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple

from eth_hash.auto import keccak
from hypothesis import strategies as st

from tests.support.accounts import Signer, signer
from tests.support.market import RLC
from tests.support.orders import FIELDS, SIGN, TEE_TAG, ZERO, as_tuple, operation_hash, order_hash
from tests.support.pair_differences import comparable_tag
from tests.support.pair_world import Party, World

CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KINDS: Final = tuple(FIELDS)
SUBJECT: Final = {"AppOrder": "app", "DatasetOrder": "dataset", "WorkerpoolOrder": "workerpool", "RequestOrder": "requester"}
NUMBERS: Final = st.integers(0, 999)
SEEDS: Final = st.integers(0, 2**32 - 1)
PRICES: Final = (0, 1, 3, 9, RLC, 3 * RLC, 1_000_000_007, 900 * RLC)
TAGS: Final = (bytes(32), TEE_TAG, *((1 << bit).to_bytes(32, "big") for bit in (1, 2, 3, 8, 255)), b"\xff" * 32)
BOUNDS: Final = (0, 1, 2, 3, 4, 2**40, 2**40 - 1, 2**56, 2**80 - 1, 2**80, 2**128, 2**255, 2**256 - 1)
TEXTS: Final = ("", "x", '{"iexec_args":"--any"}', "y" * 31, "z" * 32, "é" * 200)
WRONG_SIGNS: Final = ("stranger", "high s", "empty", "short", "long", "v 0", "v 29", "zeros", "other digest", "compact high s")
SIGNS: Final = ("right",) * 18 + ("compact", "presigned") * 3 + WRONG_SIGNS
ANY_SIGN: Final = st.sampled_from(SIGNS)
_OPTIONS: Final[dict[str, Sequence[Any]]] = {
    "app": (0, 1),
    "dataset": (0, 1),
    "pool": (0, 1),
    "requester": (0, 1),
    "app_price": PRICES[:7],
    "dataset_price": PRICES[:7],
    "category": (0, 1, 2, 4),
    "tag": TAGS[:3] + TAGS[5:7],
    "callback": (0, 1, 2),
    "params": TEXTS,
}
"""What an order may say besides, each with a chance of 40 %."""


class Fault(NamedTuple):
    """Another value in one field of one order; the numbers choose from what there is."""

    kind: int
    field: int
    value: int


class Plan(NamedTuple):
    """How to make four orders."""

    terms: dict[str, Any]
    slack: tuple[int, ...]
    faults: list[Fault]
    signs: tuple[str, ...]
    restrictions: list[tuple[int, int]]


def plan_of(dice: Random, *, flaws: int = 0) -> Plan:
    """
    Draw a plan. All but the seed of the dice is left to chance, not to hypothesis, which would repeat itself where variety is wanted.

    Args:
        dice: Gives the same plan each time.
        flaws: How many things to add that may make orders not fit each other: with one, nothing hides what comes of it.
    """
    terms = {"price": dice.choice(PRICES), "volume": dice.choice([1, 1, 2, 3]), "trust": dice.choice([0, 1, 1, 2, 4, 9])}
    for name, values in _OPTIONS.items():
        if dice.random() < 0.4:
            terms[name] = dice.choice(values)
    plan = Plan(terms, (0, 0, 0), [], ("right",) * 4, [])
    for _ in range(flaws):
        what = dice.choice(["restriction", "restriction", "fault", "sign", "slack"])
        if what == "restriction":
            plan = plan._replace(restrictions=[*plan.restrictions, (dice.randrange(1000), dice.randrange(1000))])
        elif what == "fault":
            plan = plan._replace(faults=[*plan.faults, Fault(dice.randrange(4), dice.randrange(1000), dice.randrange(1000))])
        elif what == "sign":
            place, sign = dice.randrange(4), dice.choice(SIGNS[18:])
            plan = plan._replace(signs=(*plan.signs[:place], sign, *plan.signs[place + 1 :]))
        else:
            plan = plan._replace(slack=tuple(dice.choice([0, 5]) for _ in range(3)))
    return plan


_RESTRICTIONS = [
    ("AppOrder", "datasetrestrict"),
    ("AppOrder", "workerpoolrestrict"),
    ("AppOrder", "requesterrestrict"),
    ("DatasetOrder", "apprestrict"),
    ("DatasetOrder", "workerpoolrestrict"),
    ("DatasetOrder", "requesterrestrict"),
    ("WorkerpoolOrder", "apprestrict"),
    ("WorkerpoolOrder", "datasetrestrict"),
    ("WorkerpoolOrder", "requesterrestrict"),
    ("RequestOrder", "workerpool"),
]


def write_orders(world: World, plan: Plan) -> dict[str, dict[str, Any]]:
    """Write the four orders of a plan, unsigned."""
    orders = world.plain_orders(**plan.terms)
    for name, more in zip(("appmaxprice", "datasetmaxprice", "workerpoolmaxprice"), plan.slack, strict=True):
        orders["RequestOrder"][name] += more
    for which, whom in plan.restrictions:
        kind, name = _RESTRICTIONS[which % len(_RESTRICTIONS)]
        orders[kind][name] = _fitting(world, orders, name, whom)
    for fault in plan.faults:
        kind = KINDS[fault.kind]
        types = dict(reversed(item.split(" ")) for item in FIELDS[kind].split(","))
        names = list(types)
        name = names[fault.field % len(names)]
        values = {"uint256": BOUNDS, "bytes32": TAGS, "string": TEXTS, "address": world.restrictions}[types[name]]
        orders[kind][name] = values[fault.value % len(values)]  # type: ignore[index]
    orders["DatasetOrder"]["tag"] = comparable_tag(orders["DatasetOrder"]["tag"])
    return orders


def _fitting(world: World, orders: dict[str, dict[str, Any]], name: str, whom: int) -> str:
    """A restriction: often the address that it looks at, else anything."""
    if whom % 3 == 0:
        return str(orders["RequestOrder"][name.removesuffix("restrict")])
    return world.restrictions[whom % len(world.restrictions)]


def sign_orders(world: World, orders: dict[str, dict[str, Any]], signs: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Sign each order in its way; presigning is a step of its own on both hubs."""
    signed = {}
    for (kind, values), how in zip(orders.items(), signs, strict=True):
        subject = values[SUBJECT[kind]]
        owner = world.owner_of(subject)
        if kind == "DatasetOrder" and subject == ZERO:
            signed[kind] = values
        elif how == "presigned":
            presign(world, kind, values, owner)
            signed[kind] = {**values, "sign": b""}
        else:
            signed[kind] = {**values, "sign": forge(how, order_hash(kind, values, world.market.hub.address), owner.key)}
    return signed


def presign(world: World, kind: str, values: dict[str, Any], owner: Party) -> None:
    """Have an owner sign on the chain: the account itself, or a stranger with the owner's word."""
    word = owner.key.sign(operation_hash(kind, values, SIGN, world.market.hub.address))
    by = owner.address if world.count % 2 else world.people[5].address
    world.pair.do(f"manage{kind}", (as_tuple(values), SIGN, word), by=by)


def forge(how: str, digest: bytes, key: Signer) -> bytes:
    """Sign a digest in a way that somebody might try."""
    right = key.sign(digest)
    twin = (CURVE_ORDER - int.from_bytes(right[32:64], "big")).to_bytes(32, "big")
    return {
        "right": right,
        "compact": key.sign_compact(digest),
        "stranger": signer("stranger").sign(digest),
        "high s": right[:32] + twin + bytes([55 - right[64]]),
        "empty": b"",
        "short": right[:63],
        "long": right + b"\0",
        "v 0": right[:64] + bytes([right[64] - 27]),
        "v 29": right[:64] + b"\x1d",
        "zeros": bytes(65),
        "other digest": key.sign(keccak(digest)),
        "compact high s": right[:32] + bytes([twin[0] | 0x80]) + twin[1:],
    }[how]
