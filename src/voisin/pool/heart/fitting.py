"""What tasks need and machines have, as the pool's book tells it, in the words of `voisin.policy.placement`."""

from __future__ import annotations

from typing import Final

from voisin.policy.placement import Machine, Needs, is_steady, misfit, survival
from voisin.policy.taking import objection, offer_of
from voisin.pool.heart.book import Book, DealState, WorkerState
from voisin.pool.heart.facts import Instant
from voisin.protocol.introduction import suffices
from voisin.protocol.params import DEFAULT_MEMORY_BYTES, DEFAULT_OUTPUT_BYTES, MAX_MEMORY_BYTES, DealParams
from voisin.protocol.tags import ENCLAVE_BITS, NO_TAG, as_tag, without
from voisin.protocol.wire_words import EnclaveKind

BOUNDLESS: Final = 2**62
"""Memory and disk of a machine of which nothing is known."""


def needs_of(deal: DealState) -> Needs:
    """Say what the tasks of a deal need; what workers refuse as malformed needs what they then give it."""
    if deal.needs is None:
        limits = deal.params.voisin_limits
        is_sound = min(limits.time_s, limits.memory_bytes, limits.instructions, limits.output_bytes) >= 0
        is_sound = is_sound and limits.memory_bytes <= MAX_MEMORY_BYTES
        deal.needs = Needs(
            memory_bytes=(limits.memory_bytes if is_sound else 0) or DEFAULT_MEMORY_BYTES,
            disk_bytes=(limits.output_bytes if is_sound else 0) or DEFAULT_OUTPUT_BYTES,
            time_s=deal.allowance_s,
            tag=without(deal.record.deal.tag, ENCLAVE_BITS),
            region=deal.params.voisin_region,
            content=content_of(deal),
        )
    return deal.needs


def content_of(deal: DealState) -> frozenset[str]:
    """Name what every task of a deal fetches: the app by its entry, files by their CIDs."""
    params: DealParams = deal.params
    names = {deal.record.deal.app.pointer, *params.voisin_inputs.values()}
    return frozenset(name for name in (*names, params.voisin_bag) if name)


def machine_of(worker: WorkerState, at: Instant) -> Machine:
    """Say what a worker's machine has, or what its owner lets it use of that."""
    has, takes = worker.resources, worker.takes
    memory, disk = (BOUNDLESS, BOUNDLESS) if has is None else (has.memory_bytes, has.disk_bytes)
    return Machine(
        memory_bytes=memory if takes is None else min(memory, takes.memory_bytes),
        disk_bytes=disk if takes is None else min(disk, takes.disk_bytes),
        tag=as_tag(has.tag) if has is not None else NO_TAG,
        region="" if has is None else has.region,
        online_s=max(0.0, at.wall - worker.since),
        speed=worker.speed,
        content=worker.content,
    )


def why_not(deal: DealState, worker: WorkerState, at: Instant) -> str:
    """Say why a worker never does a task of a deal, however idle it is; empty when it may."""
    record = deal.record
    if deal.needs_enclave and not suffices(worker.record.enclave, _level(worker.record.enclave), record.deal.tag):
        return "the task needs an enclave that the machine does not have"
    if worker.resources is not None and (lack := misfit(needs_of(deal), machine_of(worker, at))):
        return lack
    return "" if worker.takes is None else objection(worker.takes, offer_of(record.deal, record.time_ref_s))


def _level(kind: EnclaveKind) -> EnclaveKind:
    return EnclaveKind.HARDWARE if kind.is_hardware else EnclaveKind.SIMULATED


def steady(book: Book, deal: DealState, workers: list[WorkerState], at: Instant) -> list[WorkerState]:
    """Leave out the workers that are too likely to be gone before a task of a deal is done, if there are better ones, even busy ones."""
    needs = needs_of(deal)
    machines = [machine_of(worker, at) for worker in workers]
    if all(is_steady(machine, needs, best=1) for machine in machines):
        return workers
    others = [worker for worker in book.present.values() if worker.is_online and not worker.record.ban and not why_not(deal, worker, at)]
    everybody = (machine_of(worker, at) for worker in others)
    best = max((survival(machine.online_s, needs.time_s / machine.speed) for machine in everybody), default=0)
    return [worker for worker, machine in zip(workers, machines, strict=True) if is_steady(machine, needs, best)]


def has_room(book: Book, deal: DealState, worker: WorkerState, at: Instant) -> bool:
    """Tell whether a worker has memory left for one more task, beside those that it computes."""
    used = sum(needs_of(book.tasks[task_id].deal).memory_bytes for task_id in worker.computing if task_id in book.tasks)
    return used + needs_of(deal).memory_bytes <= machine_of(worker, at).memory_bytes
