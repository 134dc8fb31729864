"""
The routes by which the ecosystem's client asks a pool: a task and its replicas, and what they printed.

| method and path | answer |
| --- | --- |
| GET /version | the version, as text |
| GET /tasks/{task_id} | `TaskModel` |
| GET /tasks/{task_id}/replicates/{worker} | `ReplicateModel` |
| GET /tasks/logs/challenge?chainId=&address= | typed data to sign |
| GET /tasks/{task_id}/logs | `TaskLogsModel`, for the requester, with the header `authorization: <hash>_<signature>_<address>` |

Errors are `{"error": "<words>"}`. Dates are as the original writes them.

Source: client-surface.md 6; pool-semantics.md 1.11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated

import msgspec
import structlog
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter, SkipValidation

from voisin.errors import InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.pool.heart.records import DealRecord, ReplicaRecord, TaskFile
from voisin.pool.running.readers import ForbiddenError
from voisin.pool.running.service import PoolService
from voisin.pool.wire import statuses, views
from voisin.protocol.codec import encode
from voisin.protocol.ids import ZERO_ADDRESS, TaskId, as_address, as_hash32
from voisin.protocol.rules import contribution_deadline, final_deadline
from voisin.service.problems import AnyRequest

JSON_TYPE = "application/json"
_STATUSES: dict[type[VoisinError], HTTPStatus] = {
    views.UnknownError: HTTPStatus.NOT_FOUND,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    TrustError: HTTPStatus.UNAUTHORIZED,
    InputError: HTTPStatus.BAD_REQUEST,
    StateError: HTTPStatus.CONFLICT,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    VoisinError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""The status of each branch of the tree of errors; the nearest ancestor counts."""

_log = structlog.get_logger()

Service = NamedDependency[SkipValidation[PoolService]]


class StatusChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A status and when it was reached."""

    status: str
    date: str
    cause: str | None = None


class ReplicateModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One worker's part in a task."""

    self_url: str = msgspec.field(name="self")
    chain_task_id: str
    wallet_address: str
    current_status: str
    status_update_list: tuple[StatusChange, ...]
    result_link: str | None
    chain_callback_data: str | None
    contribution_hash: str
    app_logs: str
    app_exit_code: int | None
    tee_session_generation_error: str | None = None


class TaskModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task as the ecosystem's schedulers tell of it."""

    chain_task_id: str
    replicates: tuple[ReplicateModel, ...]
    max_execution_time: int
    tag: str
    dapp_type: str
    dapp_name: str
    command_line: str
    initialization_block_number: int
    current_status: str
    trust: int
    uploading_worker_wallet_address: str | None
    consensus: str | None
    contribution_deadline: str
    reveal_deadline: str | None
    final_deadline: str
    result_link: str | None
    chain_callback_data: str | None
    date_status_list: tuple[StatusChange, ...]


class LogModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an app printed on one worker."""

    wallet_address: str
    stdout: str
    stderr: str


class TaskLogsModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an app printed for a task."""

    chain_task_id: str
    compute_logs_list: tuple[LogModel, ...]


@get("/version", media_type="text/plain")
async def show_version() -> str:
    """Tell which version runs."""
    return version("voisin")


@get("/tasks/{task_id:str}")
async def show_foreign_task(service: Service, task_id: FromPath[str]) -> Response[bytes]:
    """Show a task with its replicas."""
    file, deal = await views.task_file(service, _task_id(task_id))
    return _answer(_task(file, deal))


@get("/tasks/{task_id:str}/replicates/{worker:str}")
async def show_foreign_replica(service: Service, task_id: FromPath[str], worker: FromPath[str]) -> Response[bytes]:
    """Show one worker's part in a task."""
    file, _ = await views.task_file(service, _task_id(task_id))
    replica = next((each for each in file.replicas if each.worker == as_address(worker)), None)
    if replica is None:
        raise views.UnknownError(f"worker {worker} has no part in task {task_id}")
    return _answer(_replicate(file, replica))


@get("/tasks/logs/challenge")
async def give_log_challenge(
    service: Service, address: FromQuery[str], chain: Annotated[int, QueryParameter(name="chainId")] = 0
) -> Response[bytes]:
    """Give an address a text to sign for reading logs."""
    wanted = chain or service.ledger.domain.chain_id
    return _answer(service.readers.challenge(as_address(address), wanted, now=service.wall()))


@get("/tasks/{task_id:str}/logs")
async def show_foreign_logs(
    service: Service, task_id: FromPath[str], authorization: Annotated[str | None, HeaderParameter(name="authorization")] = None
) -> Response[bytes]:
    """Show the requester what a task's apps printed."""
    file, deal = await views.task_file(service, _task_id(task_id))
    await service.readers.by_challenge(authorization, deal.deal.requester, now=service.wall())
    logs = await service.logs.read(file.task.task_id)
    if not logs:
        raise views.UnknownError(f"there are no logs of task {file.task.task_id}")
    lines = tuple(LogModel(wallet_address=log.worker, stdout=log.stdout, stderr=log.stderr) for log in logs)
    return _answer(TaskLogsModel(chain_task_id=file.task.task_id, compute_logs_list=lines))


def ecosystem_routes() -> Router:
    """Give the routes with their way of answering errors."""
    return Router(
        "/",
        route_handlers=[show_version, show_foreign_task, show_foreign_replica, give_log_challenge, show_foreign_logs],
        exception_handlers={VoisinError: _answer_error, HTTPException: _answer_http_error, Exception: _answer_surprise},
        include_in_schema=False,
    )


def _task_id(text: str) -> TaskId:
    return TaskId(as_hash32(text))


def _task(file: TaskFile, deal: DealRecord) -> TaskModel:
    task, terms, history = file.task, deal.deal, statuses.task_history(file)
    uploader = next((line.worker for line in reversed(file.story) if line.moment.what == "asked to upload"), None)
    return TaskModel(
        chain_task_id=task.task_id,
        replicates=tuple(_replicate(file, replica) for replica in file.replicas),
        max_execution_time=deal.time_ref_s * 1_000,
        tag=terms.tag,
        dapp_type="DOCKER",
        dapp_name=terms.app.pointer,
        command_line=terms.params,
        initialization_block_number=deal.block,
        current_status=history[-1][0] if history else "RECEIVED",
        trust=terms.trust,
        uploading_worker_wallet_address=uploader,
        consensus=task.consensus,
        contribution_deadline=_date(contribution_deadline(terms.start_time, deal.time_ref_s)),
        reveal_deadline=_date(task.reveal_deadline) if task.reveal_deadline else None,
        final_deadline=_date(final_deadline(terms.start_time, deal.time_ref_s)),
        result_link=_link(task.cid),
        chain_callback_data=task.callback_data if terms.callback != ZERO_ADDRESS else None,
        date_status_list=tuple(StatusChange(status=status, date=_date(at)) for status, at in history),
    )


def _replicate(file: TaskFile, replica: ReplicaRecord) -> ReplicateModel:
    task, history = file.task, statuses.replica_history(file, replica)
    base = f"/tasks/{task.task_id}/replicates/{replica.worker}"
    return ReplicateModel(
        self_url=base,
        chain_task_id=task.task_id,
        wallet_address=replica.worker,
        current_status=history[-1][0] if history else "CREATED",
        status_update_list=tuple(
            StatusChange(status=status, date=_date(moment.at), cause=moment.detail or None) for status, moment in history
        ),
        result_link=_link(task.cid) if any(status == "RESULT_UPLOADED" for status, _ in history) else None,
        chain_callback_data=None,
        contribution_hash=replica.result_hash or "",
        app_logs=f"/tasks/{task.task_id}/logs",
        app_exit_code=replica.exit_code,
    )


def _link(cid: str) -> str | None:
    return f"/ipfs/{cid}" if cid else None


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _answer(model: object, status: HTTPStatus = HTTPStatus.OK) -> Response[bytes]:
    return Response(encode(model), status_code=status, media_type=JSON_TYPE)


def _answer_error(_request: AnyRequest, error: VoisinError) -> Response[bytes]:
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return _answer({"error": error.message}, status)


def _answer_http_error(_request: AnyRequest, error: HTTPException) -> Response[bytes]:
    status = HTTPStatus(error.status_code)
    answer = _answer({"error": status.phrase}, status)
    answer.headers.update(error.headers or {})
    return answer


def _answer_surprise(request: AnyRequest, error: Exception) -> Response[bytes]:
    _log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return _answer({"error": "the pool failed"}, HTTPStatus.INTERNAL_SERVER_ERROR)
