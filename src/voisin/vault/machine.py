"""
Who may have what: the vault's decisions, without sockets, clocks or keys.

A session is opened for a task that is live on the chain, in an enclave deal, for a worker that the scheduler sent, with the
challenge that this vault gave to the task. What it may know follows from the deal alone.

Source: pool-semantics.md 3.2, 3.3; TasksFacet's check of authorisations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.data_terms import Review
from voisin.protocol.data_use import BEFORE_RELEASE, Use, broken_conditions
from voisin.protocol.ids import ZERO_ADDRESS, Address, TaskId
from voisin.protocol.params import parse_params
from voisin.protocol.records import Deal, Task, TaskStatus
from voisin.protocol.secrets import RESULT_KEY, SecretKind, SecretRef, checked_ref
from voisin.protocol.sessions import requester_secret_numbers
from voisin.protocol.tags import needs_enclave
from voisin.protocol.vault_terms import TermsEntry
from voisin.units import UnixSeconds


class TermsError(TrustError):
    """A use is not what the owner's terms of use allow."""

    code = "terms-of-use"


@dataclass(frozen=True, slots=True)
class Grant:
    """
    Which secrets the enclave of a task gets.

    Attributes:
        app: The app's secret; its owner may have pushed none.
        dataset: The dataset's key; None without dataset.
        result_key: The beneficiary's public key; None when the result is not sealed.
        requester: The requester's secrets, by their numbers.
    """

    app: SecretRef
    dataset: SecretRef | None
    result_key: SecretRef | None
    requester: dict[int, SecretRef]


def require_live(task_id: TaskId, task: Task | None, now: UnixSeconds) -> Task:
    """
    See that an enclave may still work on a task.

    Raises:
        StateError: The task is unknown, past its deadline for contributions, or has its result.
    """
    if task is None:
        raise StateError(f"task {task_id} is not open on this vault's chain", hint="ask once its scheduler has initialized it")
    if task.status is not TaskStatus.ACTIVE:
        raise StateError(f"task {task_id} takes no contributions any more: it is {task.status.name.lower()}")
    if now >= task.contribution_deadline:
        raise StateError(f"task {task_id} takes no contributions since {task.contribution_deadline}; it is {now}")
    return task


def require_enclave(task_id: TaskId, deal: Deal) -> None:
    """
    See that a deal asks for an enclave: only then has its scheduler, and have its sellers, agreed to one.

    Raises:
        StateError: It does not.
    """
    if not needs_enclave(deal.tag):
        raise StateError(f"the deal of task {task_id} asks for no enclave", hint="set the tag tee on the request or the dataset order")


def authorizer(deal: Deal, tee_broker: Address) -> Address:
    """Name whose signature lets a worker contribute to an enclave task."""
    return deal.workerpool.owner if tee_broker == ZERO_ADDRESS else tee_broker


def grant_of(deal: Deal) -> Grant:
    """
    Say which secrets the enclaves of a deal get: those of its app, its dataset, its requester and its beneficiary, and no others.

    Raises:
        InputError: The deal's parameters are malformed.
    """
    params = parse_params(deal.params)
    numbered = requester_secret_numbers(params.iexec_secrets)
    has_dataset = deal.dataset.pointer != ZERO_ADDRESS
    seals = params.iexec_result_encryption and deal.callback == ZERO_ADDRESS  # a callback's data are public anyway
    reader = deal.requester if deal.beneficiary == ZERO_ADDRESS else deal.beneficiary
    return Grant(
        app=SecretRef(SecretKind.APP, deal.app.pointer),
        dataset=SecretRef(SecretKind.DATASET, deal.dataset.pointer) if has_dataset else None,
        result_key=SecretRef(SecretKind.NAMED, reader, RESULT_KEY) if seals else None,
        requester={number: _requester_ref(deal.requester, name) for number, name in numbered.items()},
    )


def _requester_ref(requester: Address, name: str) -> SecretRef:
    try:
        return checked_ref(SecretRef(SecretKind.REQUESTER, requester, name))
    except InputError as error:
        raise InputError(f"the deal names a secret that cannot be: {error.message}", hint=error.hint) from None


def require_use(entry: TermsEntry, deal: Deal, use: Use, restored_at: UnixSeconds) -> None:
    """
    See that a task may have the key of a dataset with terms of use.

    Args:
        entry: The order that the deal, or its list, names, with its terms.
        deal: The deal.
        use: The facts.
        restored_at: When the vault's records were last found to have forgotten something; 0 for never.

    Raises:
        TermsError: It may not; every reason is named.
    """
    reasons = [*_standing_reasons(entry, deal, restored_at)]
    reasons += [broken.reason for broken in broken_conditions(entry.terms, use, judged=BEFORE_RELEASE)]
    if reasons:
        hint = "the vault shows the terms of use of each order"
        raise TermsError(f"the terms of use of dataset {entry.terms.dataset} do not allow this: {'; '.join(reasons)}", hint=hint)


def _standing_reasons(entry: TermsEntry, deal: Deal, restored_at: UnixSeconds) -> Iterator[str]:
    if entry.revoked_at:
        yield f"the owner revoked the order at {entry.revoked_at}"
    if deal.trust > 1:
        yield f"one enclave gets the key of a task, and the deal asks for a trust of {deal.trust}, which takes several"
    if entry.terms.review is not Review.NONE and deal.callback != ZERO_ADDRESS:
        yield "its results wait for a release, and the deal's callback would tell them at once"
    if restored_at and deal.start_time <= restored_at:
        yield f"the vault's records were restored at {restored_at}, and a task of a deal from before may have had its key"
    if restored_at and entry.pushed_at <= restored_at:
        yield f"the vault's records were restored at {restored_at}, and the owner has not confirmed the order since"
