"""What the market says about its wire for programs (OpenAPI), where the handlers' signatures do not say it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar, get_args, get_origin, get_type_hints

import msgspec
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, Operation, Parameter, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from voisin.market.query import DealQuery, FeedQuery, OrderQuery, TaskQuery
from voisin.protocol.api import Problem
from voisin.protocol.orders import ORDER_TYPES, OrderKind
from voisin.service.problems import PROBLEM_TYPE


def parameters_of(query: type[msgspec.Struct]) -> list[Parameter | Reference]:
    """Describe a query's fields as parameters of a URL."""
    described: list[Parameter | Reference] = []
    for name, hint in get_type_hints(query, include_extras=True).items():
        kind, meta = get_args(hint)
        schema = _schema(kind)
        described.append(Parameter(name=name, param_in="query", schema=schema, description=meta.description, required=False))
    return described


PROBLEMS = {
    status.value: ResponseSpec(data_container=Problem, media_type=PROBLEM_TYPE, description=meaning, generate_examples=False)
    for status, meaning in (
        (HTTPStatus.BAD_REQUEST, "What was given cannot be used"),
        (HTTPStatus.FORBIDDEN, "A signature was refused"),
        (HTTPStatus.NOT_FOUND, "Nothing of that name is known"),
        (HTTPStatus.CONFLICT, "Not in this state, or not enough money"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "The chain or the database does not answer"),
    )
}
"""The errors that every route may answer."""


@dataclass
class _QueryOperation(Operation):
    """An operation that takes a query."""

    query: ClassVar[type[msgspec.Struct]]

    def __post_init__(self) -> None:
        self.parameters = [*(self.parameters or ()), *parameters_of(self.query)]


@dataclass
class PublishOperation(Operation):
    """Publishing an order."""

    def __post_init__(self) -> None:
        kinds: list[Schema | Reference] = [_submission(kind, order_type.__name__) for kind, order_type in ORDER_TYPES.items()]
        self.request_body = RequestBody(content={"application/json": OpenAPIMediaType(schema=Schema(one_of=kinds))}, required=True)


@dataclass
class OrderOperation(_QueryOperation):
    """Listing orders."""

    query: ClassVar[type[msgspec.Struct]] = OrderQuery


@dataclass
class DealOperation(_QueryOperation):
    """Listing deals."""

    query: ClassVar[type[msgspec.Struct]] = DealQuery


@dataclass
class TaskOperation(_QueryOperation):
    """Listing the tasks of a deal."""

    query: ClassVar[type[msgspec.Struct]] = TaskQuery


@dataclass
class FeedOperation(_QueryOperation):
    """Listening to the live feed."""

    query: ClassVar[type[msgspec.Struct]] = FeedQuery


def _submission(kind: OrderKind, component: str) -> Schema:
    properties: dict[str, Schema | Reference] = {
        "kind": Schema(type=OpenAPIType.STRING, const=kind.value),
        "order": Reference(ref=f"#/components/schemas/{component}"),
    }
    return Schema(type=OpenAPIType.OBJECT, properties=properties, required=["kind", "order"])


def _schema(kind: object) -> Schema:
    plain = next((part for part in get_args(kind) if part is not type(None)), kind) if get_origin(kind) is not tuple else tuple
    if plain is tuple:
        return Schema(type=OpenAPIType.ARRAY, items=Schema(type=OpenAPIType.STRING))
    if plain is OrderKind:
        return Schema(type=OpenAPIType.STRING, enum=[each.value for each in OrderKind])
    return Schema(type=OpenAPIType.INTEGER if plain is int else OpenAPIType.STRING)
