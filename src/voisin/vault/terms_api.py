"""The routes of data with terms of use, evidence, and results that wait; listed in `voisin.vault.api`."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery

from voisin.protocol.codec import decode
from voisin.protocol.consent import read_consent
from voisin.protocol.data_terms import MAX_NUMBER
from voisin.protocol.ids import TaskId, as_address, as_hash32
from voisin.protocol.sessions import SealedSession, read_request
from voisin.protocol.vault_terms import (
    ALL_ORDERS,
    HeldResult,
    RefusalPage,
    ResultKeyRequest,
    SealedResultKey,
    TaskEvidence,
    TermsEntry,
    TermsPage,
    UsePage,
    read_push,
)
from voisin.service.problems import AnyRequest
from voisin.units import UnixSeconds
from voisin.vault.openapi import ResultKeyOperation, SessionOperation, TermsOperation
from voisin.vault.terms import order_name
from voisin.vault.wire import PROBLEMS, ConsentHeader, Vault


@post("/v1/datasets/{dataset:str}/terms", operation_class=TermsOperation, responses=PROBLEMS)
async def push_terms(vault: Vault, request: AnyRequest, dataset: FromPath[str], consent: ConsentHeader = None) -> TermsEntry:
    """Keep a dataset order with its terms of use, and the dataset's key, with its owner's consent; push before the order is published."""
    return await vault.terms.push(as_address(dataset), read_push(await request.body()), read_consent(consent))


@get("/v1/datasets/{dataset:str}/terms", responses=PROBLEMS)
async def list_terms(vault: Vault, dataset: FromPath[str]) -> TermsPage:
    """List a dataset's orders with their terms of use, revoked ones too, the oldest first."""
    return await vault.terms.page(as_address(dataset))


@get("/v1/terms/{order_hash:str}", responses=PROBLEMS)
async def show_terms(vault: Vault, order_hash: FromPath[str]) -> TermsEntry:
    """Show a dataset order, by its hash, with its terms of use."""
    return await vault.terms.entry(order_name(order_hash))


@post("/v1/datasets/{dataset:str}/revocation", status_code=200, responses=PROBLEMS)
async def revoke_terms(
    vault: Vault, dataset: FromPath[str], order: FromQuery[str] = ALL_ORDERS, consent: ConsentHeader = None
) -> TermsPage:
    """Revoke one order of a dataset, or all, with its owner's consent: from then on no key goes out for them, to nobody."""
    return await vault.terms.revoke(as_address(dataset), order, read_consent(consent))


@get("/v1/datasets/{dataset:str}/uses", responses=PROBLEMS)
async def list_uses(
    vault: Vault,
    dataset: FromPath[str],
    since: FromQuery[int] = 0,
    before: FromQuery[int | None] = None,
    consent: ConsentHeader = None,
) -> UsePage:
    """List the uses of a dataset under terms, the newest first, with its owner's consent."""
    begin = None if before is None else _in_range(before)
    return await vault.terms.uses(as_address(dataset), read_consent(consent), since=UnixSeconds(_in_range(since)), before=begin)


@get("/v1/datasets/{dataset:str}/refusals", responses=PROBLEMS)
async def list_refusals(
    vault: Vault,
    dataset: FromPath[str],
    since: FromQuery[int] = 0,
    before: FromQuery[int | None] = None,
    consent: ConsentHeader = None,
) -> RefusalPage:
    """List the uses of a dataset that its terms refused, the newest first and the first of each task, with its owner's consent."""
    begin = None if before is None else _in_range(before)
    return await vault.terms.refusals(as_address(dataset), read_consent(consent), since=UnixSeconds(_in_range(since)), before=begin)


@post("/v1/shares", status_code=200, operation_class=SessionOperation, responses=PROBLEMS)
async def give_shares(vault: Vault, request: AnyRequest) -> SealedSession:
    """Seal this vault's share of a dataset's key to the key of the enclave that runs a task; the worker signs the request."""
    return await vault.sessions.shares(read_request(await request.body()))


@get("/v1/tasks/{task_id:str}/evidence", responses=PROBLEMS)
async def show_evidence(vault: Vault, task_id: FromPath[str]) -> TaskEvidence:
    """Show what the enclaves of a task showed for themselves, with what it was verified with, signed by the vault."""
    return await vault.sessions.evidence(_task(task_id))


@get("/v1/tasks/{task_id:str}/result", responses=PROBLEMS)
async def show_held(vault: Vault, task_id: FromPath[str]) -> HeldResult:
    """Tell whether the result of a task waits for a release by the owner of its dataset."""
    return await vault.held.show(_task(task_id))


@post("/v1/tasks/{task_id:str}/release", status_code=200, responses=PROBLEMS)
async def release_result(vault: Vault, task_id: FromPath[str], consent: ConsentHeader = None) -> HeldResult:
    """Release the result of a task to its reader, with the consent of the owner of its dataset."""
    return await vault.held.release(_task(task_id), read_consent(consent))


@post("/v1/tasks/{task_id:str}/result-key", status_code=200, operation_class=ResultKeyOperation, responses=PROBLEMS)
async def give_result_key(vault: Vault, request: AnyRequest, task_id: FromPath[str], consent: ConsentHeader = None) -> SealedResultKey:
    """Seal the key of a task's result: for the owner of its dataset at any time, for its reader once it is released; with a consent."""
    wanted = decode(await request.body(), ResultKeyRequest, "the reader's key")
    return await vault.held.key(_task(task_id), wanted, read_consent(consent))


def _in_range(number: int) -> int:
    """Keep a number where every database can compare it."""
    return max(0, min(number, MAX_NUMBER))


def _task(text: str) -> TaskId:
    return TaskId(as_hash32(text))


HANDLERS = (
    push_terms,
    list_terms,
    show_terms,
    revoke_terms,
    list_uses,
    list_refusals,
    give_shares,
    show_evidence,
    show_held,
    release_result,
    give_result_key,
)
"""These routes."""
