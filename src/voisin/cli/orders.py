"""Order files and order hashes: `{"kind": ..., "order": {...}}` as the market publishes them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from voisin.client import AsyncCloud
from voisin.errors import InputError, StateError
from voisin.protocol.codec import decode
from voisin.protocol.eip712 import order_hash, sign_order
from voisin.protocol.ids import OrderHash, as_hash32
from voisin.protocol.orders import (
    ORDER_TYPES,
    AppOrder,
    DatasetOrder,
    Order,
    OrderKind,
    RequestOrder,
    WorkerpoolOrder,
    order_kind,
    resource_of,
)

_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
SignedOrder = AppOrder | DatasetOrder | WorkerpoolOrder | RequestOrder


class OrderFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an order file holds."""

    kind: OrderKind
    order: msgspec.Raw


def write_order(order: Order) -> dict[str, object]:
    """Spell an order as an order file does."""
    return {"kind": order_kind(order).value, "order": order}


def read_order(path: Path) -> Order:
    """
    Read an order file.

    Raises:
        InputError: It cannot be read, or is no order.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the order file {path} cannot be read: {error.strerror}", hint="check the path") from None
    file = decode(data, OrderFile, f"the order file {path}")
    order: Order = decode(bytes(file.order), ORDER_TYPES[file.kind], f"the order in {path}")
    return order


async def find_order(cloud: AsyncCloud, reference: str, kind: OrderKind | None = None) -> Order:
    """
    Find an order by its hash in the market's book, or by its file.

    Args:
        cloud: The market.
        reference: A hash, or a path.
        kind: Which kind it must be of.

    Raises:
        InputError: There is no such file, or it is of another kind.
        StateError: The book does not know it.
    """
    if _HASH.fullmatch(reference):
        order: Order = (await cloud.links.book.find(OrderHash(as_hash32(reference)))).order
    else:
        order = read_order(Path(reference))
    if kind is not None and order_kind(order) is not kind:
        raise InputError(f"{reference} is an order of kind {order_kind(order)}, not {kind}", hint=f"give one of kind {kind}")
    return order


async def require_signer(cloud: AsyncCloud, order: Order) -> None:
    """
    Refuse to sign what the wallet has no right to.

    Raises:
        StateError: The wallet is not the owner of what the order offers, or not its requester.
    """
    wallet = (await cloud.requester()).address
    owner = order.requester if isinstance(order, RequestOrder) else await cloud.links.chain.registries.owner_of(resource_of(order))
    if owner != wallet:
        what = "requester" if isinstance(order, RequestOrder) else f"owner of {resource_of(order)}"
        raise StateError(f"the wallet {wallet} is not the {what}, which is {owner}", hint="choose that wallet with --wallet")


async def sign(cloud: AsyncCloud, order: SignedOrder) -> SignedOrder:
    """Sign an order with the wallet, which must be its owner's."""
    await require_signer(cloud, order)
    return sign_order(order, cloud.links.chain.domain, (await cloud.requester()).signer)


async def sign_and_publish(cloud: AsyncCloud, order: SignedOrder) -> OrderHash:
    """Sign an order and put it into the book; answers its hash."""
    published = await cloud.links.book.publish(await sign(cloud, order))
    return published.hash


def hash_in(cloud: AsyncCloud, order: Order) -> OrderHash:
    """Name an order on the market's chain."""
    return order_hash(order, cloud.links.chain.domain)
