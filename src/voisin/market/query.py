"""What a reader may ask of the book: filters, and cursors that keep their place while the book changes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from voisin.errors import InputError
from voisin.market.machine import Entry, rank_of
from voisin.protocol.api import OrderStatus, PublishedOrder
from voisin.protocol.feed import Topic
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash, as_address, as_hash32, as_uint
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, OrderKind, RequestOrder, WorkerpoolOrder, order_kind
from voisin.protocol.tags import as_tag, tag_bits

ANY = "any"
"""In place of an account: whichever it is; in place of a status: all of them."""

MAX_PAGE = 1000
DEFAULT_PAGE = 50
MAX_TASKS = 10_000
MAX_NAMED = 20

ACCOUNTS = ("app", "dataset", "workerpool", "requester")
"""The four accounts that an order names or restricts itself to."""

DEAL_ACCOUNTS = (*ACCOUNTS, "beneficiary", "app_owner", "dataset_owner", "workerpool_owner")
"""The accounts of a deal by which one may ask for it."""

DEAL_ORDERS = ("app_order", "dataset_order", "workerpool_order", "request_order")
"""The hashes of a deal's orders."""

RESTRICTED: dict[OrderKind, tuple[str, ...]] = {
    OrderKind.APP: ("dataset", "workerpool", "requester"),
    OrderKind.DATASET: ("app", "workerpool", "requester"),
    OrderKind.WORKERPOOL: ("app", "dataset", "requester"),
    OrderKind.REQUEST: ("workerpool",),
}
"""Which of the four are restrictions in an order of each kind, the zero address meaning anybody; the others are what it is about."""

CLASSED_KINDS = frozenset({OrderKind.WORKERPOOL, OrderKind.REQUEST})
"""The kinds of orders that have a category and a trust."""

BULK_VOLUME = 2**53 - 2
"""Volume from which a dataset order that costs nothing may be used in bulk [tasks]; source: client-surface.md 3.1."""

_Accounts = tuple[str, ...]
_Hashes = tuple[str, ...]
_LAST_EVENT = 2**63 - 1
_Int64 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
QueryT = TypeVar("QueryT", bound="OrderQuery | DealQuery | TaskQuery | FeedQuery")


class OrderQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which orders a reader wants to see; all conditions must hold.

    `app`, `dataset`, `workerpool` and `requester` each name what the order is about, or, where the order has a restriction
    of that name, for whom the reader looks: an order restricted to somebody is shown only to who names them (or `any`).
    Each may be given several times, for instance an account and the group it belongs to.

    Raises:
        InputError: A value is malformed, or asks for what that kind of order does not have.
    """

    kind: Annotated[OrderKind | None, Meta(description="`app`, `dataset`, `workerpool` or `request`; without it all, by kind.")] = None
    app: Annotated[_Accounts, Meta(description="The app, or for which app the reader looks; `any` for all.")] = ()
    dataset: Annotated[_Accounts, Meta(description="The dataset, or for which dataset the reader looks; `any` for all.")] = ()
    workerpool: Annotated[_Accounts, Meta(description="The workerpool, or for which workerpool the reader looks; `any` for all.")] = ()
    requester: Annotated[_Accounts, Meta(description="The requester, or for which requester the reader looks; `any` for all.")] = ()
    owner: Annotated[_Accounts, Meta(description="Who signed the order.")] = ()
    beneficiary: Annotated[_Accounts, Meta(description="Who may read the result of a request.")] = ()
    strict: Annotated[
        tuple[str, ...],
        Meta(description="`app`, `dataset`, `workerpool` or `requester`: leave out orders that are open to whoever it is."),
    ] = ()
    category: Annotated[int | None, Meta(description="Category of a workerpool or request order.")] = None
    tag: Annotated[
        str | None,
        Meta(
            description="Bits as 32-byte hex, or names such as `tee,tdx`. A workerpool order must offer all of them; "
            "any other order must ask for none but them."
        ),
    ] = None
    min_tag: Annotated[str | None, Meta(description="Bits that the order's tag must have, whatever its kind.")] = None
    max_tag: Annotated[str | None, Meta(description="Bits that the order's tag may have and no others, whatever its kind.")] = None
    min_trust: Annotated[int | None, Meta(description="Least trust of a workerpool or request order.")] = None
    max_trust: Annotated[int | None, Meta(description="Greatest trust of a workerpool or request order.")] = None
    min_price: Annotated[int | None, Meta(description="Least price [nRLC]; of a request, its workerpoolmaxprice.")] = None
    max_price: Annotated[int | None, Meta(description="Greatest price [nRLC]; of a request, its workerpoolmaxprice.")] = None
    min_volume: Annotated[int | None, Meta(description="Least remaining volume [tasks].")] = None
    bulk: Annotated[bool | None, Meta(description="`true`: only dataset orders that may be used in bulk; `false`: only other orders.")] = (
        None
    )
    status: Annotated[str, Meta(description="`open`, `filled`, `cancelled`, `removed`, `dead`, or `any`.")] = OrderStatus.OPEN.value
    limit: Annotated[int, Meta(description=f"Orders on a page, 1 to {MAX_PAGE}.")] = DEFAULT_PAGE
    cursor: Annotated[str | None, Meta(description="`next` of the page before.")] = None

    def __post_init__(self) -> None:
        _canonical_accounts(self, *ACCOUNTS, "owner", "beneficiary")
        _check_numbers(self, "category", "min_trust", "max_trust", "min_price", "max_price", "min_volume")
        _check_limit(self.limit, MAX_PAGE)
        for name in ("tag", "min_tag", "max_tag"):
            if (text := getattr(self, name)) is not None:
                msgspec.structs.force_setattr(self, name, as_tag(text))
        if unknown := set(self.strict) - set(ACCOUNTS):
            raise InputError(f"{min(unknown)!r} cannot be strict", hint=f"choose {', '.join(ACCOUNTS)}")
        if self.status != ANY and self.status not in {status.value for status in OrderStatus}:
            raise InputError(f"{self.status!r} is not a status", hint=f"choose {', '.join(OrderStatus)} or any")
        asked = [name for name in ("category", "min_trust", "max_trust") if getattr(self, name) is not None]
        if asked and self.kind is not None and self.kind not in CLASSED_KINDS:
            raise InputError(f"{self.kind} orders have no {asked[0].split('_')[-1]}", hint=f"leave {asked[0]} out")

    @property
    def bits(self) -> int | None:
        """The tag as a number; None without."""
        return None if self.tag is None else tag_bits(as_tag(self.tag))

    @property
    def place(self) -> OrderPlace | None:
        """Where the page starts: after this place; None at the beginning."""
        return None if self.cursor is None else _read_cursor(self.cursor, OrderPlace)

    def allowed(self, account: str, kind: OrderKind) -> frozenset[Address] | None:
        """
        Say which values one of the four accounts may have in an order.

        Args:
            account: One of `ACCOUNTS`.
            kind: The order's kind.

        Returns:
            The values; None for all.
        """
        named = getattr(self, account)
        if ANY in named:
            return None
        if account in RESTRICTED[kind] and not (named and account in self.strict):
            return frozenset(named) | {ZERO_ADDRESS}
        return frozenset(named) or None


class DealQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which deals a reader wants to see, newest first; all conditions must hold.

    Raises:
        InputError: A value is malformed.
    """

    requester: Annotated[_Accounts, Meta(description="Who asked for the deal.")] = ()
    beneficiary: Annotated[_Accounts, Meta(description="Who may read the results.")] = ()
    app: Annotated[_Accounts, Meta(description="The deal's app.")] = ()
    dataset: Annotated[_Accounts, Meta(description="The deal's dataset.")] = ()
    workerpool: Annotated[_Accounts, Meta(description="The deal's workerpool.")] = ()
    app_owner: Annotated[_Accounts, Meta(description="Who owned the app at that time.")] = ()
    dataset_owner: Annotated[_Accounts, Meta(description="Who owned the dataset at that time.")] = ()
    workerpool_owner: Annotated[_Accounts, Meta(description="Who owned the workerpool at that time.")] = ()
    app_order: Annotated[_Hashes, Meta(description="Hash of the deal's app order.")] = ()
    dataset_order: Annotated[_Hashes, Meta(description="Hash of the deal's dataset order.")] = ()
    workerpool_order: Annotated[_Hashes, Meta(description="Hash of the deal's workerpool order.")] = ()
    request_order: Annotated[_Hashes, Meta(description="Hash of the deal's request order.")] = ()
    category: Annotated[int | None, Meta(description="The deal's category.")] = None
    limit: Annotated[int, Meta(description=f"Deals on a page, 1 to {MAX_PAGE}.")] = DEFAULT_PAGE
    cursor: Annotated[str | None, Meta(description="`next` of the page before.")] = None

    def __post_init__(self) -> None:
        _canonical_accounts(self, *DEAL_ACCOUNTS)
        _canonical_hashes(self, *DEAL_ORDERS)
        _check_numbers(self, "category")
        _check_limit(self.limit, MAX_PAGE)

    @property
    def place(self) -> DealPlace | None:
        """Where the page starts: after this place; None at the beginning."""
        return None if self.cursor is None else _read_cursor(self.cursor, DealPlace)


class TaskQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Which tasks of a deal a reader wants to see.

    Raises:
        InputError: A value is malformed.
    """

    first: Annotated[int, Meta(description="Index to start from.")] = 0
    limit: Annotated[int, Meta(description=f"Most tasks to answer, 1 to {MAX_TASKS}.")] = MAX_TASKS

    def __post_init__(self) -> None:
        as_uint(self.first, "first")
        _check_limit(self.limit, MAX_TASKS)


class FeedQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What a reader of the live feed wants to hear of.

    Raises:
        InputError: A value is malformed.
    """

    topic: Annotated[tuple[str, ...], Meta(description="`orders`, `trades`, `deals`; without it all.")] = ()
    after: Annotated[int | None, Meta(description="Id of the last event that was seen.")] = None

    def __post_init__(self) -> None:
        if unknown := set(self.topic) - set(Topic):
            raise InputError(f"{min(unknown)[:80]!r} is not a topic", hint=f"choose {', '.join(Topic)}")
        if self.after is not None and self.after > _LAST_EVENT:
            raise InputError("there is no such event", hint="pass on the id of the last event that was seen")


class OrderPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where an order stands in the list: by kind, price, age and hash. The rank is text, for 256-bit numbers."""

    kind: OrderKind
    rank: str
    published_at: _Int64
    hash: OrderHash

    def __post_init__(self) -> None:
        if not self.rank.isascii() or not self.rank.isdecimal():
            raise ValueError("the rank is not a number")
        as_uint(int(self.rank), "rank")
        as_hash32(self.hash)


class DealPlace(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a deal stands in the list: by block and place in the block's log."""

    block: _Int64
    log_index: _Int64


def accounts_of(order: Order) -> tuple[str, str, str, str]:
    """Name the four accounts of an order, in the order of `ACCOUNTS`: what it is about, and what it restricts itself to."""
    match order:
        case AppOrder():
            return order.app, order.datasetrestrict, order.workerpoolrestrict, order.requesterrestrict
        case DatasetOrder():
            return order.apprestrict, order.dataset, order.workerpoolrestrict, order.requesterrestrict
        case WorkerpoolOrder():
            return order.apprestrict, order.datasetrestrict, order.workerpool, order.requesterrestrict
        case RequestOrder():
            return order.app, order.dataset, order.workerpool, order.requester


def is_bulk(order: Order) -> bool:
    """Tell whether an order's dataset may be used in bulk: any number of times, for nothing."""
    return isinstance(order, DatasetOrder) and order.datasetprice == 0 and order.volume >= BULK_VOLUME


def place_of(entry: Entry) -> OrderPlace:
    """Tell where an order stands in the list."""
    return OrderPlace(kind=order_kind(entry.order), rank=str(rank_of(entry.order)), published_at=entry.published_at, hash=entry.hash)


def place_of_published(published: PublishedOrder) -> OrderPlace:
    """Tell where a published order stands in the list."""
    rank = str(rank_of(published.order))
    return OrderPlace(kind=order_kind(published.order), rank=rank, published_at=published.published_at, hash=published.hash)


def write_cursor(place: OrderPlace | DealPlace) -> str:
    """Write a place as the cursor of the page after it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


_PARAMETERS: dict[type, dict[str, object]] = {kind: get_type_hints(kind) for kind in (OrderQuery, DealQuery, TaskQuery, FeedQuery)}
"""What may be asked, with its types; reading these anew takes longer than an answer."""


def read_query(given: Mapping[str, Sequence[str]], kind: type[QueryT]) -> QueryT:
    """
    Read a query from a URL's parameters.

    Args:
        given: The values of each parameter.
        kind: What may be asked.

    Raises:
        InputError: A parameter is unknown, given twice, or malformed.
    """
    known = _PARAMETERS[kind]
    values: dict[str, object] = {}
    for name, texts in given.items():
        if name not in known:
            raise InputError(f"parameter {name!r} is unknown", hint=f"known parameters are {', '.join(known)}")
        values[name] = _read_value(name, texts, known[name])
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"the query is malformed: {error}") from None


_DIGITS: Final = "write digits only, without sign or fraction; amounts are in nRLC"


def _read_value(name: str, texts: Sequence[str], kind: object) -> object:
    if kind == _Accounts:
        return tuple(texts)
    if len(texts) != 1:
        raise InputError(f"parameter {name!r} is given {len(texts)} times", hint="give it once")
    text = texts[0]
    if kind == bool | None:
        return _read_flag(name, text)
    if kind not in (int, int | None):
        return text
    if not (text.isascii() and text.isdecimal() and len(text) <= 78):
        raise InputError(f"parameter {name!r} is {text[:80]!r}, not a whole number", hint=_DIGITS)
    return int(text)


def _read_flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InputError(f"parameter {name!r} is {text[:80]!r}", hint="write true or false")
    return text == "true"


def _canonical_hashes(query: msgspec.Struct, *names: str) -> None:
    for name in names:
        given = getattr(query, name)
        _check_count(name, given)
        msgspec.structs.force_setattr(query, name, tuple(map(as_hash32, given)))


def _check_count(name: str, given: Sequence[str]) -> None:
    if len(given) > MAX_NAMED:
        raise InputError(f"parameter {name!r} is given {len(given)} times", hint=f"give it at most {MAX_NAMED} times")


def _canonical_accounts(query: msgspec.Struct, *names: str) -> None:
    for name in names:
        given = getattr(query, name)
        _check_count(name, given)
        msgspec.structs.force_setattr(query, name, tuple(text if text == ANY else as_address(text) for text in given))


def _check_numbers(query: msgspec.Struct, *names: str) -> None:
    for name in names:
        value = getattr(query, name)
        if value is not None:
            as_uint(value, name)


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise InputError(f"limit {limit} is out of range", hint=f"ask for 1 to {most} at a time")


PlaceT = TypeVar("PlaceT", OrderPlace, DealPlace)


def _read_cursor(text: str, kind: type[PlaceT]) -> PlaceT:
    try:
        raw = base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, InputError):
        raise InputError("the cursor is malformed", hint="pass on `next` of the page before, unchanged") from None
