"""What a match makes of the records: the deal, its four orders, and the totals."""

from __future__ import annotations

from voisin.errors import InputError
from voisin.index.draft import Row
from voisin.index.scene import Scene
from voisin.protocol.codec import storable
from voisin.protocol.events import OrdersMatched
from voisin.protocol.ids import ZERO_ADDRESS, Address, OrderHash
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.protocol.params import parse_params
from voisin.protocol.records import Deal, Resource

_RESOURCES = (("App", "app"), ("Dataset", "dataset"), ("Workerpool", "workerpool"))


def match_orders(scene: Scene, matched: OrdersMatched) -> None:
    """Record a match; deals that the hub keeps no record of are left out."""
    deal = scene.facts.deals.get(matched.deal_id)
    if deal is None:
        return
    _put_deal(scene, matched, deal)
    _put_orders(scene, matched, deal)
    scene.event("OrdersMatched", deal=matched.deal_id)
    scene.count(dealsCount=1, tasksCount=deal.bot_size)


def bulk_of(deal: Deal) -> str:
    """Name the bulk of datasets that a deal runs over; empty when it has a dataset, or names none."""
    if deal.dataset.pointer != ZERO_ADDRESS:
        return ""
    try:
        return parse_params(deal.params).bulk_cid
    except InputError:
        return ""


def _put_deal(scene: Scene, matched: OrdersMatched, deal: Deal) -> None:
    row: Row = {}
    for kind, name in _RESOURCES:
        resource: Resource = getattr(deal, name)
        row |= {
            name: resource.pointer.lower(),
            f"{name}Owner": scene.account(resource.owner),
            f"{name}Price": resource.price,
        }
        if resource.pointer != ZERO_ADDRESS:
            _see_resource(scene, kind, resource)
    row |= {
        "trust": deal.trust,
        "category": str(deal.category),
        "tag": deal.tag,
        "requester": scene.account(deal.requester),
        "beneficiary": scene.account(deal.beneficiary),
        "callback": scene.account(deal.callback),
        "params": storable(deal.params),
        "startTime": deal.start_time,
        "botFirst": deal.bot_first,
        "botSize": deal.bot_size,
        "completedTasksCount": 0,
        "claimedTasksCount": 0,
        "workerStake": deal.worker_stake,
        "schedulerRewardRatio": deal.scheduler_reward_ratio,
        "sponsor": scene.account(deal.sponsor),
        "timestamp": scene.time,
        "apporder": matched.app_hash,
        "datasetorder": matched.dataset_hash,
        "workerpoolorder": matched.workerpool_hash,
        "requestorder": matched.request_hash,
        "bulk": matched.deal_id if bulk_of(deal) else None,
    }
    scene.draft.put("Deal", matched.deal_id, row)


def _see_resource(scene: Scene, kind: str, resource: Resource) -> None:
    """See that a deal's resource is recorded: one that was entered before the records begin is, as far as the deal tells of it."""
    name = resource.pointer.lower()
    if scene.draft.find(kind, name) is not None:
        return
    row: Row = {"owner": resource.owner.lower(), "timestamp": scene.time}
    match kind:
        case "App":
            row |= {"name": "", "type": "", "multiaddr": "0x", "checksum": "0x", "mrenclave": "0x"}
        case "Dataset":
            row |= {
                "name": "",
                "multiaddr": "0x",
                "checksum": "0x",
                "creationTimestamp": 0,
                "creationBlock": 0,
                "creationTransaction": "0x",
            }
        case _:
            row |= {"description": "", "workerStakeRatio": 0, "schedulerRewardRatio": 0}
    scene.draft.put(kind, name, row)


def _put_orders(scene: Scene, matched: OrdersMatched, deal: Deal) -> None:
    rows: dict[str, tuple[OrderHash, Row]] = {
        "AppOrder": (matched.app_hash, {"app": deal.app.pointer.lower(), "appprice": deal.app.price}),
        "WorkerpoolOrder": (
            matched.workerpool_hash,
            {"workerpool": deal.workerpool.pointer.lower(), "workerpoolprice": deal.workerpool.price},
        ),
        "RequestOrder": (matched.request_hash, {"requester": deal.requester.lower()}),
    }
    if deal.dataset.pointer != ZERO_ADDRESS:
        dataset: Row = {"dataset": deal.dataset.pointer.lower(), "datasetprice": deal.dataset.price}
        rows["DatasetOrder"] = (matched.dataset_hash, dataset)
    orders = scene.facts.transactions[scene.logged.tx_hash].orders
    for kind, (order_hash, row) in rows.items():
        known = scene.draft.find(kind, order_hash) or dict.fromkeys(_OPTIONAL[kind])
        told = order_row(orders[order_hash]) if order_hash in orders else {}
        scene.draft.put(kind, order_hash, known | row | told)


_COMMON = ("volume", "tag", "salt", "sign")
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "AppOrder": (*_COMMON, "datasetrestrict", "workerpoolrestrict", "requesterrestrict"),
    "DatasetOrder": (*_COMMON, "apprestrict", "workerpoolrestrict", "requesterrestrict"),
    "WorkerpoolOrder": (*_COMMON, "category", "trust", "apprestrict", "datasetrestrict", "requesterrestrict"),
    "RequestOrder": (
        *_COMMON,
        *("app", "appmaxprice", "dataset", "datasetmaxprice", "workerpool", "workerpoolmaxprice"),
        *("category", "trust", "beneficiary", "callback", "params"),
    ),
}
"""The fields of each order that only its own text tells."""


def order_row(order: Order) -> Row:
    """Write an order as it is recorded."""
    row: Row = {"volume": order.volume, "tag": order.tag, "salt": order.salt, "sign": order.sign.lower()}
    match order:
        case AppOrder():
            row |= {"app": _low(order.app), "appprice": order.appprice}
        case DatasetOrder():
            row |= {"dataset": _low(order.dataset), "datasetprice": order.datasetprice}
        case WorkerpoolOrder():
            row |= {"workerpool": _low(order.workerpool), "workerpoolprice": order.workerpoolprice}
            row |= {"category": str(order.category), "trust": order.trust}
        case RequestOrder():
            row |= {"app": _low(order.app), "appmaxprice": order.appmaxprice}
            row |= {"dataset": _low(order.dataset), "datasetmaxprice": order.datasetmaxprice}
            row |= {"workerpool": _low(order.workerpool), "workerpoolmaxprice": order.workerpoolmaxprice}
            row |= {"requester": _low(order.requester), "beneficiary": _low(order.beneficiary), "callback": _low(order.callback)}
            row |= {"category": str(order.category), "trust": order.trust, "params": storable(order.params)}
    for name in ("apprestrict", "datasetrestrict", "workerpoolrestrict", "requesterrestrict"):
        if hasattr(order, name):
            row[name] = _low(getattr(order, name))
    return row


def _low(address: Address) -> str:
    return address.lower()
