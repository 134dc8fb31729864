"""
The market's wire: HTTP with JSON, problems for errors.

| method and path | answer |
| --- | --- |
| POST /v1/orders | 201 and the order in the book, 200 when it is open there already |
| GET /v1/orders | `OrderPage`: orders that fit the query, best price first |
| GET /v1/orders/{order_hash} | the order, whatever its status |
| GET /v1/orders/{order_hash}/story | how it came to stand where it stands |
| DELETE /v1/orders/{order_hash} | the order, taken out of the book by its signer |
| GET /v1/deals | `DealPage`: deals that fit the query, newest first |
| GET /v1/deals/{deal_id} | `DealEntry` |
| GET /v1/deals/{deal_id}/tasks | `TaskPage`: its initialised tasks, by index |
| GET /v1/tasks/{task_id} | `TaskEntry` |
| GET /v1/feed | Server-Sent Events: orders, trades and deals as they come; the same over a WebSocket |
| GET /v1/health | `MarketHealth` |
| GET /metrics | figures for Prometheus |
| GET /schema/openapi.json | this, for programs |

Beside these are the routes of the ecosystem's clients, which `voisin.market.ecosystem.api` lists.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Annotated, TypeVar, cast

import msgspec
from litestar import Litestar, Response, delete, get, post
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.enums import ScopeType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.params import FromPath, HeaderParameter, SkipValidation
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from voisin.market.ecosystem.api import ecosystem_doors, ecosystem_routes, metrics_for_clients
from voisin.market.feed_wire import LAST_EVENT, socket_feed, stream_feed
from voisin.market.front import Asked, Door, Front, several
from voisin.market.machine import published_form
from voisin.market.openapi import PROBLEMS, DealOperation, OrderOperation, PublishOperation, TaskOperation
from voisin.market.proof import PROOF_HEADER, read_proof
from voisin.market.query import DealQuery, OrderQuery, QueryT, TaskQuery, read_query
from voisin.market.service import MarketHealth, MarketService, UnknownError
from voisin.market.settings import MarketSettings
from voisin.protocol.api import DealEntry, DealPage, Moment, OrderPage, PublishedOrder, TaskEntry, TaskPage
from voisin.protocol.codec import decode, encode
from voisin.protocol.ids import DealId, OrderHash, TaskId, as_hash32
from voisin.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from voisin.service.answers import Answer
from voisin.service.problems import AnyRequest, Problems

FoundT = TypeVar("FoundT")

API_VERSION = "1.0.0"
METRICS_TYPE = "text/plain; version=0.0.4"

_ROUTES = "GET /schema/openapi.json lists the routes and their methods"
_PROBLEMS = Problems("market", _ROUTES, {UnknownError: HTTPStatus.NOT_FOUND})

Desk = NamedDependency[SkipValidation[MarketService]]
ProofHeader = Annotated[str | None, HeaderParameter(name=PROOF_HEADER, description="<unix seconds>:<signature of the wish>")]


class AppSubmission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="app"):
    """An app order to publish."""

    order: AppOrder


class DatasetSubmission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="dataset"):
    """A dataset order to publish."""

    order: DatasetOrder


class WorkerpoolSubmission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="workerpool"):
    """A workerpool order to publish."""

    order: WorkerpoolOrder


class RequestSubmission(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="request"):
    """A request order to publish."""

    order: RequestOrder


Submission = AppSubmission | DatasetSubmission | WorkerpoolSubmission | RequestSubmission
_SUBMISSION = cast(type[Submission], Submission)


class OrderStory(msgspec.Struct, frozen=True):
    """How an order came to stand where it stands: each change of its status, and why."""

    story: tuple[Moment, ...]


@post("/v1/orders", operation_class=PublishOperation, responses=PROBLEMS)
async def publish(desk: Desk, request: AnyRequest, proof: ProofHeader = None) -> Response[PublishedOrder]:
    """Publish a signed order: `{"kind": ..., "order": {...}}`. 201 when it is new in the book, 200 when it is open already."""
    published, is_new = await desk.publish(_read_order(await request.body()), read_proof(proof))
    return Response(published, status_code=_taken(is_new))


@get("/v1/orders", operation_class=OrderOperation, responses=PROBLEMS)
async def list_orders(desk: Desk, request: AnyRequest) -> OrderPage:
    """List orders that fit the query: the cheapest offers first, the dearest requests first."""
    return await desk.store.orders(_query(request, OrderQuery))


@get("/v1/orders/{order_hash:str}", responses=PROBLEMS)
async def show_order(desk: Desk, order_hash: FromPath[str]) -> PublishedOrder:
    """Show an order, whatever its status."""
    found = await desk.store.entry(OrderHash(as_hash32(order_hash)))
    return published_form(_known(found, f"order {order_hash}"))


@get("/v1/orders/{order_hash:str}/story", responses=PROBLEMS)
async def tell_story(desk: Desk, order_hash: FromPath[str]) -> OrderStory:
    """Tell how an order came to stand where it stands."""
    story = await desk.store.story(OrderHash(as_hash32(order_hash)))
    return OrderStory(_known(story or None, f"order {order_hash}"))


@delete("/v1/orders/{order_hash:str}", status_code=200, responses=PROBLEMS)
async def unpublish(desk: Desk, order_hash: FromPath[str], proof: ProofHeader = None) -> PublishedOrder:
    """Take an order out of the book, as its signer; on the chain it stays valid until it is closed there."""
    return await desk.unpublish(OrderHash(as_hash32(order_hash)), read_proof(proof))


@get("/v1/deals", operation_class=DealOperation, responses=PROBLEMS)
async def list_deals(desk: Desk, request: AnyRequest) -> DealPage:
    """List deals that fit the query, newest first."""
    return await desk.store.deals(_query(request, DealQuery))


@get("/v1/deals/{deal_id:str}", responses=PROBLEMS)
async def show_deal(desk: Desk, deal_id: FromPath[str]) -> DealEntry:
    """Show a deal."""
    return _known(await desk.store.deal(DealId(as_hash32(deal_id))), f"deal {deal_id}")


@get("/v1/deals/{deal_id:str}/tasks", operation_class=TaskOperation, responses=PROBLEMS)
async def list_tasks(desk: Desk, request: AnyRequest, deal_id: FromPath[str]) -> TaskPage:
    """List the initialised tasks of a deal, by index."""
    named, query = DealId(as_hash32(deal_id)), _query(request, TaskQuery)
    _known(await desk.store.deal(named), f"deal {deal_id}")
    return await desk.store.tasks(named, query)


@get("/v1/tasks/{task_id:str}", responses=PROBLEMS)
async def show_task(desk: Desk, task_id: FromPath[str]) -> TaskEntry:
    """Show a task."""
    return _known(await desk.store.task(TaskId(as_hash32(task_id))), f"task {task_id}")


@get("/v1/health", responses=PROBLEMS)
async def health(desk: Desk) -> MarketHealth:
    """Tell how the market is, and how far it has followed the chain; 503 when it does not get on."""
    return await desk.health()


@get("/metrics", include_in_schema=False)
async def metrics(desk: Desk, request: AnyRequest) -> Response[bytes]:
    """Write the market's figures for Prometheus; with `?chainId=` as the ecosystem's clients read them."""
    if "chainId" in request.query_params:
        return await metrics_for_clients(desk, request)
    return Response(desk.metrics.page(await desk.store.open_orders(), desk.feed.readers), media_type=METRICS_TYPE)


def create_app(service: MarketService, settings: MarketSettings) -> Litestar:
    """
    Make the market's ASGI application, without the doors before it.

    Args:
        service: The market.
        settings: How it is set up.
    """
    return Litestar(
        route_handlers=[
            publish,
            list_orders,
            show_order,
            tell_story,
            unpublish,
            list_deals,
            show_deal,
            list_tasks,
            show_task,
            stream_feed,
            socket_feed,
            health,
            metrics,
            ecosystem_routes(service, settings),
        ],
        dependencies={"desk": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=_PROBLEMS.handlers(),
        middleware=[lambda app: _Timed(app, service)],
        request_max_body_size=settings.max_body_bytes,
        cors_config=CORSConfig(
            allow_origins=list(settings.allow_origins), allow_headers=["Content-Type", "Authorization", PROOF_HEADER, LAST_EVENT]
        ),
        openapi_config=OpenAPIConfig(
            title="Voisin market",
            version=API_VERSION,
            description="An order book for computing power; errors are RFC 9457 problems. Amounts are in nRLC, times in Unix seconds.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


def create_front(service: MarketService, settings: MarketSettings) -> Front:
    """
    Make the market's ASGI application, with doors before it for what comes most often.

    Args:
        service: The market.
        settings: How it is set up.
    """

    async def take(asked: Asked) -> Answer:
        proof = asked.headers.get(PROOF_HEADER.lower().encode())
        order = _read_order(asked.body)
        published, is_new = await service.publish(order, read_proof(None if proof is None else proof.decode("latin-1")))
        return Answer(encode(published), _taken(is_new))

    async def show(asked: Asked) -> Answer:
        return Answer(encode(await service.store.orders(read_query(several(asked.query), OrderQuery))))

    doors = {("POST", "/v1/orders"): Door(take, _PROBLEMS.answer), ("GET", "/v1/orders"): Door(show, _PROBLEMS.answer)}
    return Front(create_app(service, settings), doors | ecosystem_doors(service), service.metrics, max_body_bytes=settings.max_body_bytes)


class _Timed:
    """Middleware that counts requests and how long they take."""

    def __init__(self, app: ASGIApp, service: MarketService) -> None:
        self._app = app
        self._metrics = service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it went."""
        started = time.perf_counter()
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            if scope["type"] == ScopeType.HTTP:
                self._metrics.note_request(scope["method"], scope["path_template"], status, time.perf_counter() - started)


def _taken(is_new: bool) -> HTTPStatus:
    return HTTPStatus.CREATED if is_new else HTTPStatus.OK


def _read_order(body: bytes) -> Order:
    return decode(body, _SUBMISSION, "the order").order


def _query(request: AnyRequest, kind: type[QueryT]) -> QueryT:
    return read_query(request.query_params.dict(), kind)


def _known(found: FoundT | None, what: str) -> FoundT:
    if found is None:
        raise UnknownError(f"{what} is not known here", hint="check the id, and that it belongs to this hub")
    return found
