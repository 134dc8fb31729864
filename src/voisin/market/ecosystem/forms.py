"""
What the ecosystem's clients read: orders, deals and categories in their spelling.

A number that their language would not keep exactly is written as its digits: such orders come in by our own routes only.

Source: client-surface.md 3.1.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from voisin.market.ecosystem.fields import SAFE
from voisin.market.query import is_bulk
from voisin.protocol.api import CategoryEntry, DealEntry, OrderStatus, PublishedDatasetOrder, PublishedOrder
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash
from voisin.protocol.tags import Tag
from voisin.units import UnixSeconds

Number = int | str
STATUSES = {
    OrderStatus.OPEN: "open",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.DEAD: "dead",
}
"""Our words for where an order stands, and theirs; what its signer took out is gone for them."""


class OrderRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order in the book."""

    order_hash: OrderHash
    chain_id: Number
    order: dict[str, Number]
    remaining: Number
    status: str
    publication_timestamp: str
    signer: Address
    bulk: bool | msgspec.UnsetType = msgspec.UNSET


class ResourceRecord(msgspec.Struct, frozen=True):
    """An app, dataset or workerpool of a deal: entry, owner, price [nRLC]."""

    pointer: Address
    owner: Address
    price: Number


class DealRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A deal; what the ecosystem calls a hash of a deal is that of one of its orders."""

    dealid: DealId
    chain_id: Number
    app: ResourceRecord
    dataset: ResourceRecord
    workerpool: ResourceRecord
    requester: Address
    beneficiary: Address
    callback: Address
    app_hash: OrderHash
    dataset_hash: OrderHash
    workerpool_hash: OrderHash
    request_hash: OrderHash
    params: str
    volume: Number
    category: Number
    tag: Tag
    trust: Number
    start_time: int
    bot_first: Number
    bot_size: Number
    scheduler_reward_ratio: Number
    worker_stake: Number
    block_number: int
    block_timestamp: str
    transaction_hash: Hash32


class CategoryRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A category; `work_clock_time_ref` is its unit of time [s]."""

    catid: Number
    chain_id: Number
    name: str
    description: str
    work_clock_time_ref: Number
    transaction_hash: Hash32
    block_number: int
    block_timestamp: str


def number_form(number: int) -> Number:
    """Write a number, or its digits where it would lose some."""
    return number if number <= SAFE else str(number)


def time_form(at: UnixSeconds) -> str:
    """Write a time as the clients' language does."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def order_record(published: PublishedOrder, chain_id: Number) -> OrderRecord:
    """Write an order that its signer did not take out."""
    fields = msgspec.structs.asdict(published.order)
    return OrderRecord(
        order_hash=published.hash,
        chain_id=chain_id,
        order={name: number_form(value) if isinstance(value, int) else value for name, value in fields.items()},
        remaining=number_form(published.remaining),
        status=STATUSES[published.status],
        publication_timestamp=time_form(published.published_at),
        signer=published.signer,
        bulk=is_bulk(published.order) if isinstance(published, PublishedDatasetOrder) else msgspec.UNSET,
    )


def deal_record(deal: DealEntry, chain_id: Number) -> DealRecord:
    """Write a deal; its block's time is the one from which it counts."""
    return DealRecord(
        dealid=deal.deal_id,
        chain_id=chain_id,
        app=ResourceRecord(deal.app, deal.app_owner, number_form(deal.app_price)),
        dataset=ResourceRecord(deal.dataset, deal.dataset_owner, number_form(deal.dataset_price)),
        workerpool=ResourceRecord(deal.workerpool, deal.workerpool_owner, number_form(deal.workerpool_price)),
        requester=deal.requester,
        beneficiary=deal.beneficiary,
        callback=deal.callback,
        app_hash=deal.app_order,
        dataset_hash=deal.dataset_order,
        workerpool_hash=deal.workerpool_order,
        request_hash=deal.request_order,
        params=deal.params,
        volume=number_form(deal.volume),
        category=number_form(deal.category),
        tag=deal.tag,
        trust=number_form(deal.trust),
        start_time=deal.start,
        bot_first=number_form(deal.first_index),
        bot_size=number_form(deal.volume),
        scheduler_reward_ratio=number_form(deal.scheduler_reward_ratio),
        worker_stake=number_form(deal.worker_stake),
        block_number=deal.block,
        block_timestamp=time_form(deal.start),
        transaction_hash=deal.tx_hash,
    )


def category_record(category: CategoryEntry, chain_id: Number) -> CategoryRecord:
    """Write a category."""
    return CategoryRecord(
        catid=number_form(category.number),
        chain_id=chain_id,
        name=category.name,
        description=category.description,
        work_clock_time_ref=number_form(category.time_ref_s),
        transaction_hash=category.tx_hash,
        block_number=category.block,
        block_timestamp=time_form(category.at),
    )
