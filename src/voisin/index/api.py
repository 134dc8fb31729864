"""
The index's wire: the directory of pools, ours and as the ecosystem's clients ask it.

| method and path | answer |
| --- | --- |
| PUT /v1/workerpools/{address} | `PoolStatement`: the statement, taken into the directory |
| GET /v1/workerpools/{address} | `PoolStatement`: where a workerpool answers, as its owner signed it |
| GET /{chain_id}/workerpools/{address} | `{"apiUrl": ...}`, as the ecosystem's compass answers |
| GET /v1/health | `IndexHealth` |
| GET /schema/openapi.json | this, for programs |
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from litestar import Litestar, Response, get, put
from litestar.config.cors import CORSConfig
from litestar.di import NamedDependency, Provide
from litestar.openapi import ResponseSpec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody
from litestar.params import FromPath, SkipValidation

from voisin.errors import InputError
from voisin.index.compass import UnknownError
from voisin.index.service import IndexHealth, IndexService
from voisin.index.settings import IndexSettings
from voisin.problems import PROBLEM_TYPE, AnyRequest, Problems
from voisin.protocol.api import Problem
from voisin.protocol.codec import decode
from voisin.protocol.compass import PoolStatement
from voisin.protocol.ids import as_address

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
        route_handlers=[announce_pool, show_pool, point_to_pool, health],
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
