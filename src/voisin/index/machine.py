"""
What a stretch of the chain makes of the records: events in, versions of entities out.

Ids are lower-case hex; an event's id is its block and its place in the block's log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voisin.index.bags import bag_goes_on
from voisin.index.deals import match_orders
from voisin.index.draft import Draft, Key, Row, Version
from voisin.index.facts import Facts, Places
from voisin.index.scene import Scene
from voisin.index.tasks import TaskEvent, contribution_id, task_goes_on
from voisin.protocol.codec import storable
from voisin.protocol.events import (
    AccurateContribution,
    BagEvent,
    CategoryCreated,
    EntryTransferred,
    FaultyContribution,
    Locked,
    Logged,
    OrdersMatched,
    Rewarded,
    SchedulerNotice,
    Seized,
    Transferred,
    Unlocked,
)
from voisin.protocol.ids import ZERO_ADDRESS, Address, TaskId
from voisin.protocol.records import AppInfo, DatasetInfo, WorkerpoolInfo
from voisin.protocol.rules import DEFAULT_SCHEDULER_REWARD_RATIO, DEFAULT_WORKER_STAKE_RATIO


def work_through(
    events: Iterable[Logged], known: Mapping[Key, Row | None], facts: Facts, places: Places
) -> tuple[list[Version], frozenset[Key]]:
    """
    Work through a stretch.

    Args:
        events: Its events, in order.
        known: Entities as they are before it; None for what is not there.
        facts: What the chain answered to its questions.
        places: Which contract is which.

    Returns:
        What changed, and what had to be known and was not: while that is not empty, what changed is nothing to rely on.
    """
    draft = Draft(known)
    for logged in events:
        draft.block = logged.block
        record_event(Scene(draft, facts, places, logged))
    return draft.versions(), frozenset(draft.missing)


def record_event(scene: Scene) -> None:
    """Record one event."""
    match scene.logged.event:
        case Transferred() | Locked() | Unlocked() | Rewarded() | Seized():
            _move_money(scene)
        case EntryTransferred():
            _transfer_entry(scene, scene.logged.event)
        case CategoryCreated(category, name, description, time_ref_s):
            row: Row = {
                "name": storable(name),
                "description": storable(description),
                "workClockTimeRef": time_ref_s,
                "timestamp": scene.time,
            }
            if scene.draft.find("Category", str(category)) is None:
                scene.count(categoriesCount=1)
            scene.draft.put("Category", str(category), row)
        case OrdersMatched():
            match_orders(scene, scene.logged.event)
        case SchedulerNotice(workerpool, deal):
            scene.event("SchedulerNotice", workerpool=workerpool.lower(), deal=deal)
        case AccurateContribution(worker, task):
            _judge(scene, "AccurateContribution", worker, task, scene.score(worker) + 1)
        case FaultyContribution(worker, task):
            _judge(scene, "FaultyContribution", worker, task, scene.score(worker) * 2 // 3)
        case event if isinstance(event, BagEvent):
            bag_goes_on(scene, event)
        case event if isinstance(event, TaskEvent):
            task_goes_on(scene, event)
        case _:
            pass  # presigned and closed orders, sponsors and callbacks have no entity


def _move_money(scene: Scene) -> None:
    match scene.logged.event:
        case Transferred(sender, recipient, amount) if scene.logged.address == scene.places.token:
            scene.event("TokenTransfer", **{"from": scene.account(sender), "to": scene.account(recipient)}, value=amount)
        case Transferred(sender, recipient, amount):
            _transfer(scene, sender, recipient, amount)
        case Locked(owner, amount):
            scene.event("Lock", account=scene.account(owner, frozen=amount), value=amount)
        case Unlocked(owner, amount):
            scene.event("Unlock", account=scene.account(owner, frozen=-amount), value=amount)
        case Rewarded(owner, amount, task):
            scene.event("Reward", account=scene.account(owner), value=amount, task=task)
        case Seized(owner, amount, task):
            scene.event("Seize", account=scene.account(owner, frozen=-amount), value=amount, task=task)


def _transfer(scene: Scene, sender: Address, recipient: Address, amount: int) -> None:
    """Move money between the hub's accounts; from nobody it comes in, to nobody it goes out."""
    is_in, is_out = sender == ZERO_ADDRESS, recipient == ZERO_ADDRESS
    names = scene.account(sender, balance=0 if is_in else -amount), scene.account(recipient, balance=0 if is_out else amount)
    scene.event("Transfer", **dict(zip(("from", "to"), names, strict=True)), value=amount)
    if is_in != is_out:
        scene.count(tvl=amount if is_in else -amount)


def _transfer_entry(scene: Scene, event: EntryTransferred) -> None:
    """Give an app, dataset or workerpool to its new owner; the first transfer enters it."""
    places, info = scene.places, scene.facts.entries[event.entry]
    kind = {places.app_registry: "App", places.dataset_registry: "Dataset", places.workerpool_registry: "Workerpool"}[scene.logged.address]
    name, before = event.entry.lower(), scene.draft.find(kind, event.entry.lower())
    row: Row = {"owner": scene.account(event.recipient), "timestamp": scene.time}
    match info:
        case AppInfo():
            row |= {"name": storable(info.name), "type": storable(info.type), "multiaddr": "0x" + info.multiaddr.hex()}
            row |= {"checksum": info.checksum, "mrenclave": "0x" + info.mrenclave.hex()}
        case DatasetInfo():
            row |= {"name": storable(info.name), "multiaddr": "0x" + info.multiaddr.hex(), "checksum": info.checksum}
            made: Row = {
                "creationTimestamp": scene.time,
                "creationBlock": scene.logged.block,
                "creationTransaction": scene.logged.tx_hash,
            }
            row |= made if before is None else {field: before[field] for field in made}
        case WorkerpoolInfo():
            policy: Row = {"workerStakeRatio": DEFAULT_WORKER_STAKE_RATIO, "schedulerRewardRatio": DEFAULT_SCHEDULER_REWARD_RATIO}
            row |= {"description": storable(info.description)} | policy
            row |= {} if before is None else {field: before[field] for field in policy}
    scene.draft.put(kind, name, row)
    if event.sender == ZERO_ADDRESS:
        scene.count(**{f"{kind.lower()}sCount": 1})
    moved = {"from": scene.account(event.sender), "to": scene.account(event.recipient), kind.lower(): name}
    scene.event(f"{kind}Transfer", **moved)


def _judge(scene: Scene, kind: str, worker: Address, task: TaskId, score: int) -> None:
    """
    Record whether a contribution was right, and what that makes of its worker's score.

    Source: poco-protocol.md 11.
    """
    account = scene.account(worker, score=score)
    scene.event(kind, account=account, contribution=contribution_id(task, worker), score=score)
