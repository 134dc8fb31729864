"""
Which of a dataset's offers a renter can use: what vault and enclave would refuse is left out before it is paid for.

Terms of use come from the vault, and count because the order's owner signed their id. An order without terms is one of the protocol's
other clients; only the hub's conditions apply to it, and a vault gives no key for it once the dataset has terms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from voisin.client.data.vaults import terms_desk
from voisin.client.links import Links
from voisin.client.offers import DataOffers, Wish
from voisin.errors import NoMatchError, TrustError
from voisin.policy.matching import Offer
from voisin.protocol.api import PublishedDatasetOrder
from voisin.protocol.data_terms import EnclaveLevel, require_commitment
from voisin.protocol.data_use import BEFORE_BUYING, Condition, Use, broken_conditions, memberships
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, OrderHash
from voisin.protocol.orders import DatasetOrder, OrderKind, WorkerpoolOrder
from voisin.protocol.tags import is_simulated, needs_enclave
from voisin.protocol.vault_terms import TermsEntry

_OF_OFFERS: Final = (BEFORE_BUYING | {Condition.ENCLAVE}) - {Condition.POOLS}
"""What is judged before a workerpool is chosen; the enclave by the best that is offered."""
WITHOUT_TERMS: Final = "the vault gives the key for orders with terms of use alone, and has none of this one"


@dataclass(frozen=True, slots=True)
class DataNeeds:
    """
    What is asked beside the wish.

    Attributes:
        purpose: The purpose that the renter signs.
        app: SHA-256 of the app's code.
        suits: Which workerpools suit data that tasks open together.
    """

    purpose: str
    app: Hash32
    suits: Callable[[WorkerpoolOrder], bool] = lambda _pool: True


@dataclass(frozen=True, slots=True)
class Usable:
    """A dataset's offers, and the workerpools' offers that suit all of them."""

    data: DataOffers
    pools: list[Offer[WorkerpoolOrder]]


async def find_data(links: Links, wish: Wish, pools: Sequence[Offer[WorkerpoolOrder]], needs: DataNeeds) -> Usable:
    """
    Find the offers of a dataset that allow a use.

    Args:
        links: The network.
        wish: The use.
        pools: The workerpools' offers.
        needs: What terms are judged by.

    Raises:
        NoMatchError: Nobody offers the dataset, or an enclave, or no offer allows the use; the message says which condition the
            nearest one breaks.
    """
    offers = await offered(links, wish.dataset)
    if not offers:
        raise NoMatchError(f"nobody offers dataset {wish.dataset}", hint="its owner offers it with `voisin data grant`")
    entries = {} if links.vault is None else {entry.order_hash: entry for entry in await terms_desk(links).of_dataset(wish.dataset)}
    enclaves = [pool for pool in pools if needs_enclave(pool.order.tag)]
    members = await members_of(links, wish, offers, entries, {pool.order.workerpool for pool in enclaves})
    use = Use(
        dataset=wish.dataset,
        at=await links.chain.block_time(),
        app=needs.app,
        requester=wish.requester,
        members=members,
        purpose=needs.purpose,
        enclave=EnclaveLevel.SIMULATED if all(is_simulated(pool.order.tag) for pool in enclaves) else EnclaveLevel.HARDWARE,
    )
    judged = _OF_OFFERS if enclaves else _OF_OFFERS - {Condition.ENCLAVE}
    refusals = {offer.hash: refusals_of(offer.order, entries.get(offer.hash), use, judged) for offer in offers}
    if entries:
        refusals |= {offer.hash: [WITHOUT_TERMS] for offer in offers if offer.hash not in entries}
    allowed = tuple(offer for offer in offers if not refusals[offer.hash])
    if not allowed:
        nearest: list[str] = min(refusals.values(), key=len)
        words = f"no offer of dataset {wish.dataset} allows this: {'; '.join(nearest)}"
        raise NoMatchError(words, hint="see its terms of use with `voisin data show`")
    if not enclaves:
        raise NoMatchError("no workerpool offers an enclave, and data is used in one alone", hint="see `voisin order list workerpool`")
    listed = [entries[offer.hash] for offer in allowed if offer.hash in entries]
    return Usable(DataOffers(offers=allowed, members=members), [pool for pool in enclaves if _suits(pool.order, listed, use)])


def refusals_of(order: DatasetOrder, entry: TermsEntry | None, use: Use, judged: Collection[Condition]) -> list[str]:
    """Say why the vault would give no key for an order with these terms; empty when it would."""
    if entry is None:
        return []
    if entry.revoked_at:
        return ["its owner revoked it"]
    try:
        require_commitment(entry.terms, order)
    except TrustError as error:
        return [error.message]
    return [broken.reason for broken in broken_conditions(entry.terms, use, judged=judged)]


def _suits(pool: WorkerpoolOrder, entries: Collection[TermsEntry], use: Use) -> bool:
    """Tell whether terms of use let a workerpool do it."""
    level = EnclaveLevel.SIMULATED if is_simulated(pool.tag) else EnclaveLevel.HARDWARE
    judged = {Condition.POOLS, Condition.ENCLAVE}
    here = replace(use, pool=pool.workerpool, enclave=level)
    return not any(broken_conditions(entry.terms, here, judged=judged) for entry in entries)


async def offered(links: Links, dataset: Address) -> list[Offer[DatasetOrder]]:
    """List what a dataset is offered for, the cheapest first."""
    filters = {"dataset": dataset, "app": "any", "workerpool": "any", "requester": "any"}
    found = [each async for each in links.book.orders(OrderKind.DATASET, filters) if isinstance(each, PublishedDatasetOrder)]
    return [Offer(each.order, each.hash, each.remaining) for each in found]


async def members_of(
    links: Links, wish: Wish, offered: Sequence[Offer[DatasetOrder]], entries: Mapping[OrderHash, TermsEntry], pools: Collection[Address]
) -> frozenset[tuple[Address, Address]]:
    """Ask the chain about every group that an order or its terms name."""
    asked: set[tuple[Address, Address]] = set()
    for offer in offered:
        order, entry = offer.order, entries.get(offer.hash)
        asked |= {(order.apprestrict, wish.app), (order.requesterrestrict, wish.requester)}
        asked |= {(order.workerpoolrestrict, pool) for pool in pools}
        if entry is not None:
            asked |= set(memberships(entry.terms, pool=None, requester=wish.requester))
            asked |= {pair for pool in pools for pair in memberships(entry.terms, pool=pool, requester=None)}
    groups = sorted(pair for pair in asked if pair[0] not in (ZERO_ADDRESS, pair[1]))
    return frozenset([pair for pair in groups if await links.chain.is_authorized(*pair)])
