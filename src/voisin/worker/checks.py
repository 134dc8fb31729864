"""What a worker makes sure of before it works: it believes the chain, and of the pool only what the chain confirms."""

from __future__ import annotations

from dataclasses import dataclass

from voisin.errors import StateError, UnavailableError
from voisin.policy.taking import objection, offer_of
from voisin.protocol.ids import ZERO_ADDRESS, Address, task_id
from voisin.protocol.introduction import enclave_tag
from voisin.protocol.params import DealParams
from voisin.protocol.records import AppInfo, ContributionStatus, Deal, Task, TaskStatus
from voisin.protocol.results import authorization_digest
from voisin.protocol.tags import Tag, as_tag, both_tags, missing_bits, needs_enclave
from voisin.protocol.wire import Takes
from voisin.protocol.wire_words import EnclaveKind, MachineFailure
from voisin.sandbox import Limits
from voisin.service.together import both
from voisin.units import UnixSeconds
from voisin.worker.content import Content, entry_content
from voisin.worker.plan import RequestError, plan_limits, read_params
from voisin.worker.ports import Glance, Ledger
from voisin.worker.refusal import RefusalError
from voisin.worker.settings import WorkerSettings
from voisin.worker.vocabulary import Replica


@dataclass(frozen=True, kw_only=True)
class Ability:
    """
    What this worker is and can do.

    Attributes:
        worker: Its address.
        workerpool: The workerpool that it joined.
        settings: What it was told.
        enclave: What enclaves it has.
    """

    worker: Address
    workerpool: Address
    settings: WorkerSettings
    enclave: EnclaveKind

    @property
    def tag(self) -> Tag:
        """What of the bits that a task may ask for this machine has."""
        return both_tags(enclave_tag(self.enclave), as_tag(self.settings.tag))


@dataclass(frozen=True, kw_only=True)
class Terms:
    """
    A task that is worth working on, as the chain describes it.

    Attributes:
        deal: Its deal.
        app: The app's module.
        params: The deal's parameters; None when they cannot be met.
        fault: Why they cannot be met, in words that every worker finds; empty when they can.
        limits: What the run may use.
        contribution_deadline: Until when it may be contributed [Unix s].
        final_deadline: From when it may be claimed [Unix s].
    """

    deal: Deal
    app: Content
    params: DealParams | None
    fault: str
    limits: Limits
    contribution_deadline: UnixSeconds
    final_deadline: UnixSeconds

    @property
    def in_enclave(self) -> bool:
        """Whether the task runs in an enclave."""
        return needs_enclave(self.deal.tag)

    @property
    def has_callback(self) -> bool:
        """Whether the result goes to a contract."""
        return self.deal.callback != ZERO_ADDRESS


async def check_task(replica: Replica, ledger: Ledger, ability: Ability, takes: Takes) -> Terms:
    """
    Find out from the chain whether a task is real, open, ours to do, and worth it. The stake is not looked at here.

    Args:
        replica: What the pool says of it.
        ledger: The chain.
        ability: What this worker can do.
        takes: What its owner wants it to do.

    Raises:
        RefusalError: It is not; says why.
    """
    try:
        deal, seen = await both(lambda: _check_deal(replica, ledger, ability), lambda: ledger.glance(replica.task_id))
        check_open(seen, ability.settings.margin_s)
        task = seen.task
        app = await ledger.app(deal.app.pointer)
        if problem := objection(takes, offer_of(deal, task.time_ref_s, app.checksum)):
            raise RefusalError(MachineFailure.NOT_WANTED, problem)
    except StateError as error:
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, error.message) from None
    except UnavailableError as error:
        raise RefusalError(MachineFailure.CHAIN_UNREACHABLE, error.message) from None
    deadlines = task.contribution_deadline, task.final_deadline
    return terms_of(deal, app, ability.settings, takes, time_ref_s=task.time_ref_s, deadlines=deadlines)


def require_active(task: Task) -> None:
    """
    Make sure that a task takes contributions, whatever the clock says.

    Raises:
        RefusalError: It does not.
    """
    if task.status is not TaskStatus.ACTIVE:
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, f"the task is {task.status.name.lower()} on the chain")


def check_open(seen: Glance, margin_s: float) -> None:
    """
    Make sure that a task takes a contribution of this worker.

    Args:
        seen: The task on the chain.
        margin_s: How long before the deadline it is too late [s].

    Raises:
        RefusalError: It does not.
    """
    require_active(seen.task)
    not_active = MachineFailure.TASK_NOT_ACTIVE
    if seen.own.status is not ContributionStatus.UNSET:
        raise RefusalError(not_active, "this worker has contributed to the task already, and its result is gone")
    left_s = seen.task.contribution_deadline - seen.now
    if left_s <= margin_s:
        raise RefusalError(not_active, f"contributions end in {max(left_s, 0)} s, and {margin_s:g} s are wanted at least")


async def _check_deal(replica: Replica, ledger: Ledger, ability: Ability) -> Deal:
    if replica.task_id != task_id(replica.deal_id, replica.index):
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, "the task's id does not belong to its deal and index")
    deal = await ledger.deal(replica.deal_id)
    if not deal.bot_first <= replica.index < deal.bot_first + deal.bot_size:
        raise RefusalError(MachineFailure.TASK_NOT_ACTIVE, f"the deal has no task {replica.index}")
    if deal.workerpool.pointer != ability.workerpool:
        detail = f"the deal belongs to workerpool {deal.workerpool.pointer}, not {ability.workerpool}"
        raise RefusalError(MachineFailure.CHAIN_REFUSED, detail)
    _check_tag(deal, replica, ability)
    digest = authorization_digest(ability.worker, replica.task_id, replica.enclave_challenge)
    if not await ledger.is_signed_by(deal.workerpool.owner, digest, replica.authorization):
        detail = f"the authorisation is not signed by the deal's scheduler {deal.workerpool.owner}"
        raise RefusalError(MachineFailure.CHAIN_REFUSED, detail)
    return deal


def _check_tag(deal: Deal, replica: Replica, ability: Ability) -> None:
    """See that this machine has what the deal asks for, and that an enclave is named if and only if it asks for one."""
    missing = missing_bits(deal.tag, ability.tag)
    if missing:
        detail = f"the task needs {', '.join(missing)}, which this worker does not have"
        if needs_enclave(deal.tag) and ability.enclave is EnclaveKind.NONE:
            detail += "; it has no enclave (settings enclave and allow_simulated)"
        raise RefusalError(MachineFailure.NO_RESOURCES, detail)
    if needs_enclave(deal.tag) is (replica.enclave_challenge == ZERO_ADDRESS):
        what = "no enclave, and the task needs one" if needs_enclave(deal.tag) else "an enclave, and the task needs none"
        raise RefusalError(MachineFailure.CHAIN_REFUSED, f"the pool names {what}")
    if replica.is_direct and (deal.trust > 1 or not needs_enclave(deal.tag)):
        raise RefusalError(MachineFailure.CHAIN_REFUSED, "the pool wants the task finished by one worker, and it is not for one")


def terms_of(
    deal: Deal, entry: AppInfo, settings: WorkerSettings, takes: Takes, *, time_ref_s: int, deadlines: tuple[UnixSeconds, UnixSeconds]
) -> Terms:
    """
    Say what a deal's tasks are and what they may use.

    Args:
        deal: The deal.
        entry: Its app's entry.
        settings: What this worker can do.
        takes: What its owner wants it to do.
        time_ref_s: Reference time of the deal's category [s].
        deadlines: Until when it may be contributed, and from when it may be claimed [Unix s].

    Raises:
        RefusalError: This worker cannot do them.
    """
    app = _app(entry)
    try:
        params, fault = read_params(deal.params, in_enclave=needs_enclave(deal.tag)), ""
    except RequestError as error:
        params, fault = None, error.message
    limits = plan_limits(params or DealParams(), time_ref_s)
    if limits.memory_bytes > takes.memory_bytes:
        detail = f"the task may use {limits.memory_bytes} bytes of memory, and this worker offers {takes.memory_bytes}"
        raise RefusalError(MachineFailure.NO_RESOURCES, detail)
    if limits.output_bytes > settings.max_output_bytes:
        detail = f"the task may write {limits.output_bytes} bytes, and this worker takes {settings.max_output_bytes}"
        raise RefusalError(MachineFailure.NO_RESOURCES, detail)
    return Terms(
        deal=deal,
        app=app,
        params=params,
        fault=fault,
        limits=limits,
        contribution_deadline=deadlines[0],
        final_deadline=deadlines[1],
    )


def _app(entry: AppInfo) -> Content:
    """Find an app's module. Its declared type does not count: foreign clients only know `DOCKER`."""
    app = entry_content(entry.multiaddr, entry.checksum)
    if app is None:
        detail = f"the app, of type {entry.type[:40]!r}, lies at {entry.multiaddr[:200]!r}, and this worker reads /ipfs/<cid> only"
        raise RefusalError(MachineFailure.APP_UNAVAILABLE, detail)
    if app.sha256 is None:
        raise RefusalError(MachineFailure.WRONG_HASH, "the app's entry does not say what its module hashes to")
    return app
