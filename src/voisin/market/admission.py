"""
Who gets into the book: what an order must satisfy to be published, in the order in which it is judged.

1. it is of sane size, asks for at least one task, has a signer, and speaks of no simulated enclaves where they are not allowed;
2. its resource is registered; for a request, the app and the dataset it names;
3. the resource's present owner, or the requester, signed it: by key, by presignature on the chain, or by contract;
4. its category exists;
5. something of its volume is left;
6. its signer can pay for one task.

Source: poco-protocol.md 4.2, 8.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from voisin.errors import FundsError, InputError, StateError, TrustError
from voisin.market.machine import FINAL, Entry, stake_needed
from voisin.market.proof import PROOF_HEADER, Consent, Proof, check_newer
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash, from_hex
from voisin.protocol.orders import Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind, resource_of
from voisin.protocol.tags import is_simulated
from voisin.units import NRLC, UnixSeconds, format_amount


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """How long the texts of an order may be [bytes], and whether it may have to do with simulated enclaves."""

    params_bytes: int
    sign_bytes: int
    allow_simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """
    What the chain says about an order.

    Attributes:
        missing: The resource that is not registered, in words; empty when all are.
        owner: Who must have signed: the resource's owner, or the requester.
        is_signed: They did.
        has_category: The order's category exists, or it has none.
        consumed: How much of its volume is used [tasks].
        stake: The owner's free money in the hub [nRLC].
    """

    missing: str = ""
    owner: Address
    is_signed: bool
    has_category: bool
    consumed: int
    stake: NRLC


def check_form(order: Order, limits: OrderLimits) -> None:
    """
    Judge what needs no chain: sizes, volume, signer.

    Raises:
        InputError: The order can never be published.
    """
    if order.volume == 0:
        raise InputError("the order's volume is 0", hint="offer or ask for at least 1 task")
    if len(from_hex(order.sign)) > limits.sign_bytes:
        raise InputError(f"the order's signature is longer than {limits.sign_bytes} bytes", hint="sign it with the resource owner's wallet")
    if is_simulated(order.tag) and not limits.allow_simulated:
        raise InputError("this market takes no orders about simulated enclaves", hint="leave the tag `simulated` out")
    if resource_of(order) == ZERO_ADDRESS:
        raise InputError(f"the {order_kind(order)} order names the zero address", hint=f"name the {_resource_word(order)}")
    if isinstance(order, RequestOrder) and "\0" in order.params:
        raise InputError("the order's params hold a NUL character", hint="remove it")
    if isinstance(order, RequestOrder) and len(order.params.encode()) > limits.params_bytes:
        raise InputError(
            f"the order's params are {len(order.params.encode())} bytes, at most {limits.params_bytes} are accepted",
            hint="put long inputs into storage and name them by CID",
        )


def admit(order_hash: OrderHash, order: Order, facts: OrderFacts, *, at: UnixSeconds) -> Entry:
    """
    Judge an order by what the chain says, and make its entry.

    Args:
        order_hash: The order's hash.
        order: The order.
        facts: What the chain says.
        at: When it is published.

    Raises:
        InputError: A resource is not registered, or the category does not exist.
        TrustError: It is not signed by whom it must be.
        StateError: Its volume is used up or was cancelled.
        FundsError: Its signer cannot pay for one task; says how much is missing.
    """
    if facts.missing:
        raise InputError(f"{facts.missing} is not registered", hint="deploy it first, and check the address and the network")
    if not facts.is_signed:
        raise TrustError(
            f"the order is not signed by {facts.owner}, who must sign it",
            hint=f"sign it with the wallet of {facts.owner}, for this chain and this hub",
        )
    if not facts.has_category:
        assert isinstance(order, RequestOrder | WorkerpoolOrder)
        raise InputError(f"category {order.category} does not exist", hint="choose a category that the hub knows")
    if facts.consumed >= order.volume:
        raise StateError("nothing is left of the order's volume: it is filled or was cancelled", hint="sign a new order with another salt")
    _check_stake(order, facts)
    return Entry(
        hash=order_hash,
        order=order,
        signer=facts.owner,
        remaining=order.volume - facts.consumed,
        published_at=at,
        owner=facts.owner,
        stake=facts.stake,
    )


def check_return(known: Entry, fresh: Entry, proof: Proof | Consent | None) -> None:
    """
    Judge whether an order that is in the book but not open may be put back.

    Args:
        known: What the book says of it.
        fresh: Its new entry.
        proof: Its signer's wish to have it back, already checked to be the signer's.

    Raises:
        StateError: It is filled or cancelled, or its signer took it out and does not provably want it back.
    """
    if known.status in FINAL:
        raise StateError(f"the order is {known.status}: {known.why}", hint="sign a new order with another salt")
    if not known.is_removed or known.signer != fresh.signer:
        return
    if proof is None:
        raise StateError(
            "the order was taken out of the book by its signer",
            hint=f"sign a new order with another salt, or prove with the header {PROOF_HEADER} that you want it back",
        )
    check_newer(proof, known.proven_at)


def _check_stake(order: Order, facts: OrderFacts) -> None:
    missing = NRLC(stake_needed(order) - facts.stake)
    if missing > 0:
        raise FundsError(
            f"{facts.owner} holds {format_amount(facts.stake)} free in the hub, one task of this order needs "
            f"{format_amount(stake_needed(order))}: {format_amount(missing)} missing",
            hint=f"deposit {format_amount(missing)} or more",
        )


def _resource_word(order: Order) -> str:
    kind = order_kind(order)
    return "requester" if kind is OrderKind.REQUEST else str(kind)
