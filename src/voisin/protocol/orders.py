"""
The four orders: signed offers of an app, a dataset, a workerpool, and the request that buys them.

Field names are the protocol's own, so an order reads the same in Python, in JSON and on the chain.

Source: poco-protocol.md 3.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, as_address, as_hash32, as_uint, from_hex
from voisin.protocol.tags import NO_TAG, Tag
from voisin.units import NRLC


class OrderKind(StrEnum):
    """Which of the four an order is."""

    APP = "app"
    DATASET = "dataset"
    WORKERPOOL = "workerpool"
    REQUEST = "request"


class _Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the four orders share: every field is checked and made canonical when an order is made or decoded."""

    def __post_init__(self) -> None:
        for name, kind in FIELDS[type(self)]:
            value = getattr(self, name)
            if kind == "address":
                value = as_address(value)
            elif kind == "bytes32":
                value = as_hash32(value)
            elif kind == "uint256":
                as_uint(value, name)
            msgspec.structs.force_setattr(self, name, value)
        from_hex(getattr(self, "sign", "0x"))


class AppOrder(_Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The owner of an app lets it run `volume` times for `appprice` [nRLC] each."""

    app: Address
    appprice: NRLC
    volume: int
    tag: Tag = NO_TAG
    datasetrestrict: Address = ZERO_ADDRESS
    workerpoolrestrict: Address = ZERO_ADDRESS
    requesterrestrict: Address = ZERO_ADDRESS
    salt: Hash32
    sign: str = "0x"


class DatasetOrder(_Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The owner of a dataset lets it be used `volume` times for `datasetprice` [nRLC] each."""

    dataset: Address
    datasetprice: NRLC
    volume: int
    tag: Tag = NO_TAG
    apprestrict: Address = ZERO_ADDRESS
    workerpoolrestrict: Address = ZERO_ADDRESS
    requesterrestrict: Address = ZERO_ADDRESS
    salt: Hash32
    sign: str = "0x"


class WorkerpoolOrder(_Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workerpool runs `volume` tasks of a category, to a trust of at most `trust`, for `workerpoolprice` [nRLC] each."""

    workerpool: Address
    workerpoolprice: NRLC
    volume: int
    tag: Tag = NO_TAG
    category: int
    trust: int
    apprestrict: Address = ZERO_ADDRESS
    datasetrestrict: Address = ZERO_ADDRESS
    requesterrestrict: Address = ZERO_ADDRESS
    salt: Hash32
    sign: str = "0x"


class RequestOrder(_Order, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A requester buys `volume` runs of an app, and says the most that app, dataset and workerpool may cost [nRLC]."""

    app: Address
    appmaxprice: NRLC
    dataset: Address = ZERO_ADDRESS
    datasetmaxprice: NRLC = NRLC(0)
    workerpool: Address = ZERO_ADDRESS
    workerpoolmaxprice: NRLC
    requester: Address
    volume: int
    tag: Tag = NO_TAG
    category: int
    trust: int
    beneficiary: Address
    callback: Address = ZERO_ADDRESS
    params: str
    salt: Hash32
    sign: str = "0x"


Order = AppOrder | DatasetOrder | WorkerpoolOrder | RequestOrder

ORDER_TYPES: dict[OrderKind, type[AppOrder] | type[DatasetOrder] | type[WorkerpoolOrder] | type[RequestOrder]] = {
    OrderKind.APP: AppOrder,
    OrderKind.DATASET: DatasetOrder,
    OrderKind.WORKERPOOL: WorkerpoolOrder,
    OrderKind.REQUEST: RequestOrder,
}

_KINDS: dict[type, OrderKind] = {order_type: kind for kind, order_type in ORDER_TYPES.items()}

# fmt: off
FIELDS: dict[type, tuple[tuple[str, str], ...]] = {
    AppOrder: (
        ("app", "address"), ("appprice", "uint256"), ("volume", "uint256"), ("tag", "bytes32"), ("datasetrestrict", "address"),
        ("workerpoolrestrict", "address"), ("requesterrestrict", "address"), ("salt", "bytes32"),
    ),
    DatasetOrder: (
        ("dataset", "address"), ("datasetprice", "uint256"), ("volume", "uint256"), ("tag", "bytes32"), ("apprestrict", "address"),
        ("workerpoolrestrict", "address"), ("requesterrestrict", "address"), ("salt", "bytes32"),
    ),
    WorkerpoolOrder: (
        ("workerpool", "address"), ("workerpoolprice", "uint256"), ("volume", "uint256"), ("tag", "bytes32"), ("category", "uint256"),
        ("trust", "uint256"), ("apprestrict", "address"), ("datasetrestrict", "address"), ("requesterrestrict", "address"),
        ("salt", "bytes32"),
    ),
    RequestOrder: (
        ("app", "address"), ("appmaxprice", "uint256"), ("dataset", "address"), ("datasetmaxprice", "uint256"),
        ("workerpool", "address"), ("workerpoolmaxprice", "uint256"), ("requester", "address"), ("volume", "uint256"),
        ("tag", "bytes32"), ("category", "uint256"), ("trust", "uint256"), ("beneficiary", "address"), ("callback", "address"),
        ("params", "string"), ("salt", "bytes32"),
    ),
}
# fmt: on
"""The signed fields of each order with their ABI types, in ABI order; `sign` follows them in the ABI tuple."""


def order_kind(order: Order) -> OrderKind:
    """Tell which of the four an order is."""
    return _KINDS[type(order)]


def resource_of(order: Order) -> Address:
    """Name whose owner must sign: the app, dataset or workerpool; for a request, the requester."""
    match order:
        case AppOrder():
            return order.app
        case DatasetOrder():
            return order.dataset
        case WorkerpoolOrder():
            return order.workerpool
        case RequestOrder():
            return order.requester


def no_dataset_order() -> DatasetOrder:
    """Make the empty dataset order that stands in a match without dataset."""
    return DatasetOrder(dataset=ZERO_ADDRESS, datasetprice=NRLC(0), volume=0, salt=Hash32("0x" + "00" * 32))
