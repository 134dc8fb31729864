"""
The index's wire: GraphQL, and the directory of pools, ours and as the ecosystem's clients ask it.

| method and path | answer |
| --- | --- |
| POST, GET / and /graphql | the answer to a GraphQL query about the protocol |
| POST, GET /subgraphs/name/{name} | the same; about protected data where the name ends so |
| PUT /v1/workerpools/{address} | `PoolStatement`: the statement, taken into the directory |
| GET /v1/workerpools/{address} | `PoolStatement`: where a workerpool answers, as its owner signed it |
| GET /{chain_id}/workerpools/{address} | `{"apiUrl": ...}`, as the ecosystem's compass answers |
| GET /v1/health | `IndexHealth` |
| GET /metrics | figures for Prometheus |
| GET /schema/openapi.json | this, for programs |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from litestar import Litestar, Response, get, post, put
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody
from litestar.params import FromPath, SkipValidation

from voisin.errors import InputError
from voisin.index.compass import UnknownError
from voisin.index.dataprotector import DATAPROTECTOR
from voisin.index.poco import POCO
from voisin.index.queries import GraphQLRequest
from voisin.index.service import IndexHealth, IndexService
from voisin.index.settings import IndexSettings
from voisin.protocol.api import Problem
from voisin.protocol.codec import decode, encode
from voisin.protocol.compass import PoolStatement
from voisin.protocol.ids import as_address
from voisin.service.problems import PROBLEM_TYPE, AnyRequest, Problems

API_VERSION = "1.0.0"

_PROBLEMS = Problems("index", "GET /schema/openapi.json lists the routes and their methods", {UnknownError: HTTPStatus.NOT_FOUND})

Service = NamedDependency[SkipValidation[IndexService]]

PROBLEMS = {
    status.value: ResponseSpec(data_container=Problem, media_type=PROBLEM_TYPE, description=meaning, generate_examples=False)
    for status, meaning in (
        (HTTPStatus.BAD_REQUEST, "What was given cannot be used"),
        (HTTPStatus.FORBIDDEN, "A signature was refused"),
        (HTTPStatus.NOT_FOUND, "Nothing of that name is known"),
        (HTTPStatus.CONFLICT, "A newer statement is listed"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "The chain or the database does not answer"),
    )
}
"""The errors that our own routes may answer."""


METRICS_TYPE = "text/plain; version=0.0.4"
JSON_TYPE, GRAPHQL_TYPE = "application/json", "application/graphql-response+json"

_GRAPHS = ["/", "/graphql"]
_SUBGRAPHS = ["/subgraphs/name/{name:path}", "/subgraphs/id/{name:path}"]
"""Where subgraph hosts answer; not in the OpenAPI, which knows no parameter with slashes."""
_PROTECTED_DATA = "dataprotector"

GRAPHS = {
    200: ResponseSpec(dict[str, object], description="`data`, and `errors` where there are any", generate_examples=False),
    400: ResponseSpec(dict[str, object], description="`errors`: the query was refused", generate_examples=False),
}
"""What GraphQL answers."""


class CompassEntry(msgspec.Struct, frozen=True, rename="camel"):
    """Where a workerpool answers, in the ecosystem's spelling."""

    api_url: str


class CompassRefusal(msgspec.Struct, frozen=True):
    """Why the ecosystem's route has no answer."""

    error: str


@dataclass
class AnnounceOperation(Operation):
    """Announcing a pool."""

    def __post_init__(self) -> None:
        schema = Reference(ref="#/components/schemas/PoolStatement")
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)


@put("/v1/workerpools/{address:str}", operation_class=AnnounceOperation, responses=PROBLEMS)
async def announce_pool(service: Service, request: AnyRequest, address: FromPath[str]) -> PoolStatement:
    """Say where a workerpool answers, by a statement that its owner signed."""
    statement = decode(await request.body(), PoolStatement, "the statement")
    if as_address(address) != statement.workerpool:
        raise InputError(f"the statement is about {statement.workerpool}", hint="send it to that workerpool's own path")
    return await service.compass.take(statement)


@get("/v1/workerpools/{address:str}", responses=PROBLEMS)
async def show_pool(service: Service, address: FromPath[str]) -> PoolStatement:
    """Show where a workerpool answers, as its owner signed it."""
    return await service.compass.find(as_address(address))


@get("/{chain_id:str}/workerpools/{address:str}", responses={404: ResponseSpec(CompassRefusal, description="Unknown workerpool")})
async def point_to_pool(service: Service, chain_id: FromPath[str], address: FromPath[str]) -> Response[CompassEntry | CompassRefusal]:
    """Tell where a workerpool answers, as the ecosystem's compass does."""
    try:
        if chain_id != str(service.chain_id):
            raise UnknownError(f"chain {chain_id[:20]} is not known here")
        statement = await service.compass.find(as_address(address))
    except (InputError, UnknownError) as error:
        return Response(CompassRefusal(error.message), status_code=HTTPStatus.NOT_FOUND)
    return Response(CompassEntry(statement.api_url))


@post(_SUBGRAPHS, status_code=200, include_in_schema=False)
async def ask_subgraph(service: Service, request: AnyRequest) -> Response[bytes]:
    """Answer a GraphQL query where subgraph hosts do."""
    return await _answer(service, request, read_body(await request.body()))


@get(_SUBGRAPHS, include_in_schema=False)
async def ask_subgraph_by_link(service: Service, request: AnyRequest) -> Response[bytes]:
    """The same for a query that is part of the address."""
    return await _answer(service, request, read_link(request.query_params.dict()))


@post(_GRAPHS, status_code=200, responses=GRAPHS)
async def ask_graph(service: Service, request: AnyRequest) -> Response[bytes]:
    """Answer a GraphQL query: `{"query": ..., "variables": {...}, "operationName": ...}`."""
    return await _answer(service, request, read_body(await request.body()))


@get(_GRAPHS, responses=GRAPHS)
async def ask_graph_by_link(service: Service, request: AnyRequest) -> Response[bytes]:
    """Answer a GraphQL query that is part of the address: `?query=...&variables=...&operationName=...`."""
    return await _answer(service, request, read_link(request.query_params.dict()))


@get("/metrics", media_type=METRICS_TYPE, include_in_schema=False)
async def metrics(service: Service) -> bytes:
    """Write the index's figures for Prometheus."""
    return service.metrics.page()


@get("/v1/health", responses=PROBLEMS)
async def health(service: Service) -> IndexHealth:
    """Tell how the index is; 503 when it does not get on."""
    return await service.health()


def create_app(service: IndexService, settings: IndexSettings) -> Litestar:
    """
    Make the index's ASGI application.

    Args:
        service: The index.
        settings: How it is set up.
    """
    return Litestar(
        route_handlers=[
            *(ask_graph, ask_graph_by_link, ask_subgraph, ask_subgraph_by_link),
            *(announce_pool, show_pool, point_to_pool, health, metrics),
        ],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers=_PROBLEMS.handlers(),
        request_max_body_size=settings.max_body_bytes,
        cors_config=CORSConfig(allow_origins=list(settings.allow_origins), allow_headers=["Content-Type", "Authorization"]),
        openapi_config=OpenAPIConfig(
            title="Voisin index",
            version=API_VERSION,
            description="An index of the chain and a directory of pools; errors are RFC 9457 problems. Times are in Unix seconds.",
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
            use_handler_docstrings=True,
        ),
        logging_config=None,
    )


def read_body(body: bytes) -> GraphQLRequest | str:
    """Read a query out of a request's body; answers what is wrong where it cannot be read."""
    try:
        return decode(body, GraphQLRequest, "the query")
    except InputError as error:
        return error.message


def read_link(parameters: Mapping[str, Sequence[str]]) -> GraphQLRequest | str:
    """Read a query out of an address; answers what is wrong where it cannot be read."""
    given = {name: values[-1] for name, values in parameters.items() if values}
    if "query" not in given:
        return "there is no query: send it as POST, or as ?query=..."
    try:
        variables = decode(given["variables"], dict[str, object], "the variables") if given.get("variables") else None
    except InputError as error:
        return error.message
    return GraphQLRequest(given["query"], variables, given.get("operationName"))


async def _answer(service: IndexService, request: AnyRequest, asked: GraphQLRequest | str) -> Response[bytes]:
    """
    Answer a query, or say in GraphQL's words why not.

    Source: "GraphQL over HTTP": a query that is refused is 400, except for clients that only know `application/json`.
    """
    kind = GRAPHQL_TYPE if GRAPHQL_TYPE in request.headers.get("accept", "") else JSON_TYPE
    if isinstance(asked, str):
        return Response(encode({"errors": [{"message": asked}]}), status_code=HTTPStatus.BAD_REQUEST, media_type=kind)
    name = str(request.path_params.get("name", ""))
    catalog = DATAPROTECTOR.name if _PROTECTED_DATA in name.lower() else POCO.name
    answer = await service.ask(catalog, asked)
    is_refused = answer.is_request_error and kind == GRAPHQL_TYPE
    return Response(encode(answer.body), status_code=HTTPStatus.BAD_REQUEST if is_refused else HTTPStatus.OK, media_type=kind)
