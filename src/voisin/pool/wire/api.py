"""
The pool's wire: HTTP with JSON for whoever asks, a WebSocket for workers; problems for errors.

| method and path | answer |
| --- | --- |
| GET /v1/pool | `PoolView`: the pool as it presents itself |
| GET /v1/workers | its workers, those that are connected first |
| GET /v1/tasks/{task_id} | `PoolTaskView`: where a task stands, why, and how it came there |
| GET /v1/tasks/{task_id}/logs | `TaskLogs`: what its apps printed, for the requester, once for each signature (`Voisin-Consent`) |
| GET /v1/tasks/{task_id}/logs/stream | the same while it is printed, as Server-Sent Events |
| GET /v1/deals/{deal_id} | the same for each task of a deal, by index |
| GET /v1/bags/{deal_id}?after=&wait= | `BagView`: how far a bag is, and its results after so many; waits up to so long [s] for a new one |
| GET /v1/health | `PoolHealth` |
| GET /v1/health/live | whether the process answers |
| GET /v1/health/ready | whether the scheduler can work: 503 when it cannot |
| GET /v1/status | `SchedulerStatus`: for whoever runs the pool |
| GET /metrics | figures for Prometheus |
| WS /v1/worker | the dialogue of `voisin.protocol.wire` |
| GET /schema/openapi.json | this, for programs |

Beside these are the routes of the ecosystem's client (`voisin.pool.wire.ecosystem`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from litestar import Litestar, WebSocket, get, websocket
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import WebSocketDisconnect
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, HeaderParameter, QueryParameter, SkipValidation
from litestar.response import Stream

from voisin.errors import UnavailableError
from voisin.pool.bags.views import MAX_WAIT_S
from voisin.pool.database.logs import AppLog
from voisin.pool.heart.records import DealRecord
from voisin.pool.running.desk import ClosedError
from voisin.pool.running.service import PoolService
from voisin.pool.wire import operator, views
from voisin.pool.wire.ecosystem import ecosystem_routes
from voisin.pool.wire.words import PoolWorkerView
from voisin.protocol.api import PoolTaskView, PoolView, PrintedText, Problem, TaskLogs, WorkerLog
from voisin.protocol.bag_api import BagView
from voisin.protocol.codec import encode
from voisin.protocol.consent import CONSENT_HEADER, read_consent
from voisin.protocol.ids import DealId, TaskId, as_hash32
from voisin.service.problems import PROBLEM_TYPE, Problems
from voisin.units import UnixSeconds

API_VERSION = "1.0.0"
METRICS_TYPE = "text/plain; version=0.0.4"

_ROUTES = "GET /schema/openapi.json lists the routes and their methods"
_PROBLEMS = Problems("pool", _ROUTES, {views.UnknownError: HTTPStatus.NOT_FOUND})

EVENT_STREAM = "text/event-stream"
ConsentHeader = Annotated[str | None, HeaderParameter(name=CONSENT_HEADER, description="<signer>:<nonce>:<until>:<signature>")]
Service = NamedDependency[SkipValidation[PoolService]]

PROBLEMS = {
    status: ResponseSpec(data_container=Problem, media_type=PROBLEM_TYPE, description=meaning, generate_examples=False)
    for status, meaning in (
        (400, "What was given cannot be used"),
        (403, "A signature was refused"),
        (404, "Nothing of that name is known to this pool"),
        (503, "The chain or the database does not answer"),
    )
}


@get("/v1/pool", responses=PROBLEMS)
async def show_pool(service: Service) -> PoolView:
    """Show the pool as it presents itself."""
    return views.pool_view(service)


@get("/v1/workers", responses=PROBLEMS)
async def list_workers(service: Service) -> list[PoolWorkerView]:
    """List the workers, those that are connected first."""
    return views.worker_views(service)


@get("/v1/tasks/{task_id:str}", responses=PROBLEMS)
async def show_task(service: Service, task_id: FromPath[str]) -> PoolTaskView:
    """Show where a task stands, why, and how it came there."""
    return await views.task_view(service, TaskId(as_hash32(task_id)))


@get("/v1/tasks/{task_id:str}/logs", responses=PROBLEMS)
async def show_logs(service: Service, task_id: FromPath[str], consent: ConsentHeader = None) -> TaskLogs:
    """Show the requester what a task's apps printed."""
    task, _ = await _admitted(service, task_id, consent)
    return TaskLogs(task_id=task, logs=tuple(_log_view(log) for log in await service.logs.read(task)))


@get("/v1/tasks/{task_id:str}/logs/stream", media_type=EVENT_STREAM, include_in_schema=False)
async def stream_logs(service: Service, task_id: FromPath[str], consent: ConsentHeader = None) -> Stream:
    """Tell the requester what a task's apps print, from the beginning to the task's end."""
    task, _ = await _admitted(service, task_id, consent)
    return Stream(_events(service, task), headers={"cache-control": "no-store"}, media_type=EVENT_STREAM)


@get("/v1/deals/{deal_id:str}", responses=PROBLEMS)
async def show_deal(service: Service, deal_id: FromPath[str]) -> list[PoolTaskView]:
    """Show each task of a deal, by index."""
    return await views.deal_views(service, DealId(as_hash32(deal_id)))


@get("/v1/bags/{deal_id:str}", responses=PROBLEMS)
async def show_bag(
    service: Service,
    deal_id: FromPath[str],
    after: Annotated[int, QueryParameter(ge=0, description="How many results are known already.")] = 0,
    wait: Annotated[float, QueryParameter(ge=0, le=MAX_WAIT_S, description="How long to wait for a new one [s].")] = 0,
) -> BagView:
    """Show how far a bag is, and its results as they come."""
    return await views.bag_view(service, DealId(as_hash32(deal_id)), after=after, wait_s=wait)


@get("/v1/health", responses=PROBLEMS)
async def show_health(service: Service) -> views.PoolHealth:
    """Tell how the pool is; 503 when the chain does not answer."""
    return await views.health(service)


@get("/v1/health/live", responses=PROBLEMS)
async def show_life(service: Service) -> dict[str, bool]:
    """Tell that the process answers; whatever it waits for, starting it again would not help."""
    return {"is_live": service.condition.is_live}


@get("/v1/health/ready", responses=PROBLEMS)
async def show_readiness(service: Service) -> dict[str, bool]:
    """Tell whether the scheduler can work: it has read the chain, and its lease counts; 503 when it cannot."""
    if why := operator.why_not_ready(service):
        raise UnavailableError(why, hint="ask again in a moment")
    return {"is_ready": True}


@get("/v1/status", responses=PROBLEMS)
async def show_status(service: Service) -> operator.SchedulerStatus:
    """Tell whoever runs the pool how this scheduler is: load, stuck tasks and why, money, its place among others."""
    return operator.status_of(service)


@get("/metrics", media_type=METRICS_TYPE, include_in_schema=False)
async def show_metrics(service: Service) -> bytes:
    """Write the pool's figures for Prometheus."""
    service.metrics.place(operator.figures_of(service))
    return service.metrics.page(service.machine.book, service.clock.now().chain)


@websocket("/v1/worker")
async def serve_worker(socket: WebSocket[object, object, State], service: Service) -> None:
    """Talk with a worker."""
    await socket.accept()
    await service.desk.serve(LitestarSocket(socket))


async def _admitted(service: PoolService, task_id: str, consent: str | None) -> tuple[TaskId, DealRecord]:
    """Find a task, and let in whoever proves to be its requester."""
    file, deal = await views.task_file(service, TaskId(as_hash32(task_id)))
    now = UnixSeconds(int(service.wall()))
    await service.readers.by_consent(file.task.task_id, read_consent(consent), deal.deal.requester, now=now)
    return file.task.task_id, deal


async def _events(service: PoolService, task: TaskId) -> AsyncIterator[bytes]:
    """Write what is printed as events, and a comment now and then so that both ends see that the other is there."""
    yield b": logs\n\n"
    async for piece in service.logs.follow(task, service.is_open):
        if piece is None:
            yield b": still running\n\n"
        else:
            printed = PrintedText(worker=piece.worker, stream=piece.stream, start=piece.start, text=piece.text)
            yield b"event: printed\ndata: " + encode(printed) + b"\n\n"
    yield b"event: end\ndata: {}\n\n"


def _log_view(log: AppLog) -> WorkerLog:
    return WorkerLog(worker=log.worker, stdout=log.stdout, stderr=log.stderr)


def create_app(service: PoolService) -> Litestar:
    """
    Make the pool's ASGI application.

    Args:
        service: The pool.
    """
    return Litestar(
        route_handlers=[
            show_pool,
            list_workers,
            show_task,
            show_logs,
            stream_logs,
            show_deal,
            show_bag,
            show_health,
            show_life,
            show_readiness,
            show_status,
            show_metrics,
            serve_worker,
            ecosystem_routes(),
        ],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=_PROBLEMS.handlers(),
        cors_config=CORSConfig(allow_origins=["*"], allow_methods=["GET"], allow_headers=["Authorization", "Content-Type", CONSENT_HEADER]),
        openapi_config=OpenAPIConfig(
            title="Voisin pool",
            version=API_VERSION,
            description="What a pool says about its tasks and workers; errors are RFC 9457 problems. Times are in Unix seconds.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


class LitestarSocket:
    """A worker's WebSocket on the server; see `voisin.pool.running.desk.Socket`."""

    def __init__(self, socket: WebSocket[object, object, State]) -> None:
        """
        Args:
            socket: The accepted connection.
        """
        self._socket = socket

    async def receive(self) -> str | bytes:
        """Wait for a message, as text or bytes."""
        try:
            message = await self._socket.receive()
        except WebSocketDisconnect:
            raise ClosedError from None
        if message["type"] != "websocket.receive":
            raise ClosedError
        text = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def send(self, message: str) -> None:
        """Send a message as text."""
        try:
            await self._socket.send_text(message)
        except (WebSocketDisconnect, RuntimeError):
            raise ClosedError from None

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        try:
            await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError):
            return
