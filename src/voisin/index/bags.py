"""
What becomes of deals that are settled as a bag: their tasks are not on the chain, so the deal alone tells how many were done.

Source: contracts/SPEC.md 18.
"""

from __future__ import annotations

from voisin.index.scene import Scene
from voisin.protocol.events import BagClaimed, BagEvent, BagSettled, BagSlashed, DealGivenBack
from voisin.protocol.ids import DealId


def bag_goes_on(scene: Scene, event: BagEvent) -> None:
    """Record how a bag ended: completed tasks are those that are paid, claimed ones those that are refunded."""
    match event:
        case BagSettled(deal, done):
            _end(scene, deal, done)
        case BagSlashed() | BagClaimed() | DealGivenBack():
            _end(scene, event.deal_id, 0)
        case _:
            pass  # posted bags and leaves that are asked for have no entity


def _end(scene: Scene, deal_id: DealId, completed: int) -> None:
    """Count a deal's tasks; the stake of one that was given back is settled later, which changes nothing."""
    row = scene.draft.find("Deal", deal_id)
    if row is None:
        return
    volume, had_completed, had_claimed = (row[name] for name in ("botSize", "completedTasksCount", "claimedTasksCount"))
    assert isinstance(volume, int)
    assert isinstance(had_completed, int)
    assert isinstance(had_claimed, int)
    claimed = volume - completed
    scene.draft.put("Deal", deal_id, row | {"completedTasksCount": completed, "claimedTasksCount": claimed})
    scene.count(completedTasksCount=completed - had_completed, claimedTasksCount=claimed - had_claimed)
