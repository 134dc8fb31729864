"""Results that wait for the owner of their data."""

from __future__ import annotations

from collections.abc import Iterable

from voisin.client.data.vaults import terms_desk
from voisin.client.links import Links
from voisin.client.results import MAX_ARCHIVE_BYTES
from voisin.protocol.cid import parse_cid
from voisin.protocol.data_terms import Review
from voisin.protocol.ids import Address, OrderHash, TaskId
from voisin.protocol.records import TaskStatus
from voisin.protocol.results import decode_link
from voisin.protocol.sealed_result import is_held_result
from voisin.protocol.vault_terms import DataUse


async def results_that_wait(links: Links, uses: Iterable[DataUse]) -> list[DataUse]:
    """
    Choose the uses whose results wait for the owner: of completed tasks, neither released nor let pass by a rule.

    Whether a rule let a result pass is seen by the result itself, which is downloaded for it: the vault does not hear of it.

    Raises:
        UnavailableError: The vault, the chain or the storage does not answer.
    """
    desk, reviews = terms_desk(links), dict[OrderHash, Review]()
    asked = set[Address]()
    found = []
    for use in uses:
        if use.dataset not in asked:
            asked.add(use.dataset)
            reviews |= {entry.order_hash: entry.terms.review for entry in await desk.of_dataset(use.dataset)}
        review = reviews.get(use.order_hash, Review.NONE)
        if review is Review.NONE or not (await desk.result(use.task_id)).is_held:
            continue
        if await _waits(links, use.task_id):
            found.append(use)
    return found


async def _waits(links: Links, task_id: TaskId) -> bool:
    """Tell whether a task's result is there, and sealed with the vault's key."""
    task = await links.chain.hub.task(task_id)
    if task.status is not TaskStatus.COMPLETED:
        return False
    return is_held_result(await links.storage.get_bytes(parse_cid(decode_link(task.results)), max_bytes=MAX_ARCHIVE_BYTES))
