"""
Many datasets in one task: which of each dataset's orders lets it be used so, and which workerpools suit all of them.

A deal over lists names no dataset of its own. Its parameters name a list of lists of signed orders, one for each task, and the hub tells
the vault whether the deal may open each of them. Nobody is paid for it and no use is numbered, so what has a price, or counts uses, is not
opened this way: orders have to say that they are for lists, by their price of zero and their volume.

Source: pool-semantics.md 2.5, 3.3; client-surface.md 3.1, 5.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from voisin.client.data.renting import WITHOUT_TERMS, DataNeeds, members_of, offered, refusals_of
from voisin.client.data.vaults import terms_desk
from voisin.client.links import Links
from voisin.client.offers import Wish
from voisin.errors import NoMatchError
from voisin.policy.matching import Offer
from voisin.protocol.data_terms import DataTerms, EnclaveLevel, Review
from voisin.protocol.data_use import BEFORE_BUYING, Condition, Use, broken_conditions
from voisin.protocol.ids import ZERO_ADDRESS, Address
from voisin.protocol.orders import DatasetOrder, WorkerpoolOrder
from voisin.protocol.sessions import MIN_BULK_VOLUME
from voisin.protocol.tags import is_simulated, needs_enclave
from voisin.protocol.vault_terms import TermsEntry

_OF_ORDERS: Final = BEFORE_BUYING - {Condition.POOLS}
_OF_POOLS: Final = frozenset({Condition.POOLS, Condition.ENCLAVE})


@dataclass(frozen=True)
class BulkOffer:
    """
    An order under which a dataset may be one of a list, with its terms of use.

    Attributes:
        order: The order.
        entry: Its terms at the vault; None for an order without.
    """

    order: DatasetOrder
    entry: TermsEntry | None


@dataclass(frozen=True)
class Bulk:
    """
    What is to be opened together.

    Attributes:
        lists: For each task its orders.
        offers: The same orders, with their terms.
        use: What is known of the use.
    """

    lists: tuple[tuple[DatasetOrder, ...], ...]
    offers: tuple[BulkOffer, ...]
    use: Use

    def suits(self, pool: WorkerpoolOrder) -> bool:
        """Tell whether all orders and terms let a workerpool's machines do it."""
        return needs_enclave(pool.tag) and not any(_why_not_there(each, pool, self.use) for each in self.offers)


async def find_bulk(
    links: Links, wish: Wish, lists: Sequence[Sequence[Address]], pools: Sequence[Offer[WorkerpoolOrder]], needs: DataNeeds
) -> Bulk:
    """
    Choose an order of each dataset of some lists.

    Args:
        links: The network.
        wish: What is wanted.
        lists: For each task the datasets that it opens together.
        pools: The workerpools' offers.
        needs: What terms are judged by.

    Raises:
        NoMatchError: A dataset has no order that lets it be used so, or no workerpool suits all; the message names each and why.
    """
    enclaves = [pool for pool in pools if needs_enclave(pool.order.tag)]
    use = Use(at=await links.chain.block_time(), app=needs.app, requester=wish.requester, purpose=needs.purpose)
    found, missing = dict[Address, BulkOffer](), list[str]()
    for dataset in dict.fromkeys(dataset for each in lists for dataset in each):
        chosen = await _offer_of(links, replace(wish, dataset=dataset), enclaves, use)
        if isinstance(chosen, str):
            missing.append(f"{dataset}: {chosen}")
        else:
            found[dataset], use = chosen[0], replace(use, members=use.members | chosen[1])
    if missing:
        words = f"{len(missing)} of {len(missing) + len(found)} datasets cannot be used with others in one deal: {'; '.join(missing)}"
        raise NoMatchError(words, hint="leave them out, or use each with a deal of its own: without --bulk")
    bulk = Bulk(tuple(tuple(found[dataset].order for dataset in each) for each in lists), tuple(found.values()), use)
    if not any(bulk.suits(pool.order) for pool in enclaves):
        raise NoMatchError(_no_pool(bulk, enclaves), hint="leave out data that asks for other pools or enclaves; see `voisin data show`")
    return bulk


async def _offer_of(
    links: Links, wish: Wish, pools: Sequence[Offer[WorkerpoolOrder]], use: Use
) -> tuple[BulkOffer, frozenset[tuple[Address, Address]]] | str:
    """Choose an order of one dataset, with the memberships that the chain confirmed; or say why there is none."""
    offers = await offered(links, wish.dataset)
    entries = {} if links.vault is None else {entry.order_hash: entry for entry in await terms_desk(links).of_dataset(wish.dataset)}
    members = await members_of(links, wish, offers, entries, {pool.order.workerpool for pool in pools})
    here, reasons = replace(use, dataset=wish.dataset, members=members), list[str]()
    for offer in offers:
        entry = entries.get(offer.hash)
        why = _why_not_listed(offer.order, entry, wish, here) or (WITHOUT_TERMS if entries and entry is None else "")
        if not why:
            return BulkOffer(offer.order, entry), members
        reasons.append(why)
    return reasons[0] if reasons else "nobody offers it"


def _why_not_listed(order: DatasetOrder, entry: TermsEntry | None, wish: Wish, use: Use) -> str:
    if order.datasetprice or order.volume < MIN_BULK_VOLUME:
        return "its offer is not for lists (its owner grants it with --bulk)"
    for group, account in ((order.apprestrict, wish.app), (order.requesterrestrict, wish.requester)):
        if group not in (ZERO_ADDRESS, account) and (group, account) not in use.members:
            return f"its offer is for {group}, and not for {account}"
    if entry is not None and _counts(entry.terms):
        return "its terms of use count uses, hold results or share the key, and uses of a list have no number"
    return "; ".join(refusals_of(order, entry, use, _OF_ORDERS))


def _counts(terms: DataTerms) -> bool:
    """Tell whether terms ask for what the vault cannot see of one dataset among many."""
    is_counted = bool(terms.uses or terms.uses_per_renter or terms.privacy is not None)
    return is_counted or terms.review is not Review.NONE or bool(terms.keepers)


def _why_not_there(offer: BulkOffer, pool: WorkerpoolOrder, use: Use) -> str:
    group = offer.order.workerpoolrestrict
    if group not in (ZERO_ADDRESS, pool.workerpool) and (group, pool.workerpool) not in use.members:
        return f"{offer.order.dataset} is for workerpool {group}"
    if offer.entry is None:
        return ""
    level = EnclaveLevel.SIMULATED if is_simulated(pool.tag) else EnclaveLevel.HARDWARE
    here = replace(use, pool=pool.workerpool, enclave=level)
    return "; ".join(f"{offer.order.dataset}: {each.reason}" for each in broken_conditions(offer.entry.terms, here, judged=_OF_POOLS))


def _no_pool(bulk: Bulk, pools: Collection[Offer[WorkerpoolOrder]]) -> str:
    if not pools:
        return "no workerpool offers an enclave, and data is used in one alone"
    reasons = ["; ".join(why for each in bulk.offers if (why := _why_not_there(each, pool.order, bulk.use))) for pool in pools]
    return f"no workerpool suits all of the data: {min(reasons, key=len)}"
