"""
Answering GraphQL queries from the records.

A query is read and checked against the schema once and remembered; what it wants is planned, fetched as of one block, and written.
The schema's own questions (`__schema`, `__type`) are answered by the library.

Sources: the GraphQL specification; The Graph's documentation for `block` and `_meta`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from anyio import to_thread
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.execution import get_variable_values
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from voisin.errors import UnavailableError
from voisin.index.answering import Json, MissingError, show_node, show_nodes
from voisin.index.deadlines import limited
from voisin.index.entities import Catalog
from voisin.index.fetching import Budget, Fetcher
from voisin.index.plan import Planner, Root
from voisin.index.schema import anchors
from voisin.index.sdl import write_sdl
from voisin.index.settings import IndexSettings
from voisin.index.store import Position, SqlStore, find_position

REMEMBERED = 256
"""Queries that are remembered after they were read and checked."""
LARGE = 2_000
"""Entities from which on an answer is written off the loop."""


class GraphQLRequest(msgspec.Struct, frozen=True, rename={"operation_name": "operationName"}):
    """A query as it comes over the wire; other fields that clients send are ignored."""

    query: str
    variables: dict[str, object] | None = None
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What is answered to a query.

    Attributes:
        body: The answer as JSON.
        is_request_error: The query was refused before it was carried out.
    """

    body: Mapping[str, Json]
    is_request_error: bool = False


class RefusedError(Exception):
    """A query that is not carried out, with all that is wrong about it."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class GraphQL:
    """Answers the queries to one catalog."""

    def __init__(self, catalog: Catalog, store: SqlStore, settings: IndexSettings, deployment: str) -> None:
        """
        Args:
            catalog: What may be asked for.
            store: The records.
            settings: The limits.
            deployment: What the records are called in `_meta`.
        """
        self.catalog = catalog
        self._store = store
        self._settings = settings
        self._deployment = deployment
        self._known: OrderedDict[str, DocumentNode] = OrderedDict()
        self._lock = threading.Lock()
        self._schema: GraphQLSchema | None = None

    @property
    def schema(self) -> GraphQLSchema:
        """The schema; it is made when it is first needed, which takes a second."""
        with self._lock:
            if self._schema is None:
                self._schema = build_schema(write_sdl(self.catalog), assume_valid_sdl=True)
            return self._schema

    async def answer(self, request: GraphQLRequest) -> Answer:
        """
        Answer a query; what is wrong with it is in the answer.

        Raises:
            UnavailableError: The database does not answer.
        """
        try:
            document = await to_thread.run_sync(self._read, request.query)
            operation = _operation(document, request.operation_name)
            variables = get_variable_values(self.schema, operation.variable_definitions or (), request.variables or {})
            if isinstance(variables, list):
                raise RefusedError(variables)
            fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}
            planner = Planner(self.catalog, self.schema, self._settings, fragments, variables)
            roots = planner.plan(operation)
        except GraphQLError as error:
            return Answer(_errors([error]), is_request_error=True)
        except RefusedError as error:
            return Answer(_errors(error.errors), is_request_error=True)
        own = self._own_questions(document, operation, roots, request.variables)
        return await self._carry_out(planner, roots, own)

    def _read(self, text: str) -> DocumentNode:
        """Read and check a query; runs in a thread."""
        with self._lock:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        document = parse(text, max_tokens=self._settings.max_tokens)
        if count_branches(document) > self._settings.max_selections:
            raise GraphQLError(f"the query asks for more than {self._settings.max_selections} lists and references")
        errors = validate(self.schema, document, max_errors=10)
        if errors:
            raise RefusedError(errors)
        with self._lock:
            self._known[text] = document
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return document

    def _own_questions(
        self, document: DocumentNode, operation: OperationDefinitionNode, roots: list[Root], variables: Mapping[str, object] | None
    ) -> dict[str, Json]:
        """Answer what a query asks about the schema itself."""
        nodes = tuple(node for root in roots if root.name.startswith("__") for node in root.nodes)
        if not nodes:
            return {}
        fragments = [each for each in document.definitions if isinstance(each, FragmentDefinitionNode)]
        asked = OperationDefinitionNode(
            operation=OperationType.QUERY,
            selection_set=SelectionSetNode(selections=nodes),
            variable_definitions=operation.variable_definitions,
        )
        result = execute_sync(self.schema, DocumentNode(definitions=(asked, *fragments)), variable_values=dict(variables or {}))
        return dict(result.data or {})

    async def _carry_out(self, planner: Planner, roots: list[Root], own: dict[str, Json]) -> Answer:
        deadline_s = time.monotonic() + self._settings.query_s
        shown: dict[str, Json] = {}
        errors: list[GraphQLError] = []
        try:
            async with self._store.read() as connection, limited(connection, self._settings.query_s):
                work = _Work(connection, planner, await find_position(connection), Budget(self._settings.max_entities), errors)
                for root in roots:
                    shown[root.key] = own[root.key] if root.key in own else await self._show(work, root)
        except GraphQLError as error:
            return Answer({"data": None, **_errors([error])})
        except UnavailableError:
            if time.monotonic() < deadline_s:
                raise
            return Answer({"data": None, **_errors([GraphQLError("the query takes too long: ask for less at a time")])})
        return Answer({"data": shown, **(_errors(errors) if errors else {})})

    async def _show(self, work: _Work, root: Root) -> Json:
        block = await _block(work, root)
        if root.name == "_meta":
            return None if block is None else await self._meta(work, root, block)
        if root.branch is None:
            return self.schema.query_type.name if self.schema.query_type else None
        nodes = await Fetcher(work.connection, self.catalog, block=block or 0, budget=work.budget).fetch(root)
        branch = root.branch
        try:
            if root.is_many:
                return await to_thread.run_sync(show_nodes, branch, nodes) if work.budget.spent > LARGE else show_nodes(branch, nodes)
            return show_node(branch, nodes[0]) if nodes else None
        except MissingError as error:
            missing = GraphQLError(str(error), path=[root.key, *reversed(error.path)])
            if root.is_many:
                raise missing from None
            work.errors.append(missing)
            return None

    async def _meta(self, work: _Work, root: Root, block: int) -> Json:
        row = (await work.connection.execute(select(anchors).where(anchors.c.number == block))).one_or_none()
        values: dict[str, Json] = {"deployment": self._deployment, "hasIndexingErrors": False, "__typename": "_Meta_"}
        inner: dict[str, Json] = {
            "number": block,
            "hash": None if row is None else row.hash,
            "timestamp": None if row is None else row.timestamp,
            "parentHash": None,
            "__typename": "_Block_",
        }
        shown: dict[str, Json] = {}
        for key, nodes in work.planner.meta_fields(root.nodes, "_Meta_").items():
            if nodes[0].name.value == "block":
                shown[key] = {name: inner[each[0].name.value] for name, each in work.planner.meta_fields(nodes, "_Block_").items()}
            else:
                shown[key] = values[nodes[0].name.value]
        return shown


@dataclass(frozen=True, slots=True)
class _Work:
    """One query under work: the moment that it sees, its budget, and what went wrong so far."""

    connection: AsyncConnection
    planner: Planner
    position: Position
    budget: Budget
    errors: list[GraphQLError]


async def _block(work: _Work, root: Root) -> int | None:
    """Tell as of which block a field is asked; None while nothing is recorded."""
    head, wanted = work.position.next_block - 1, root.block
    if wanted.get("hash") is not None:
        asked = select(anchors.c.number).where(anchors.c.hash == str(wanted["hash"]).lower())
        found = (await work.connection.execute(asked)).scalar_one_or_none()
        if found is None:
            raise GraphQLError(f"no block with the hash {str(wanted['hash'])[:80]!r} is known", root.nodes[0])
        return int(found)
    number = wanted.get("number") if wanted.get("number") is not None else wanted.get("number_gte")
    if number is not None and int(str(number)) > head:
        raise GraphQLError(
            f"the index has only indexed up to block number {head} and data for block number {number} is therefore not yet available",
            root.nodes[0],
        )
    if wanted.get("number") is not None:
        return int(str(wanted["number"]))
    return head if work.position.last_hash is not None else None


def count_branches(document: DocumentNode) -> int:
    """Count the fields with fields of their own: what a query costs to check grows with the square of how often one is repeated."""
    count = 0
    waiting: list[SelectionSetNode] = [
        each.selection_set for each in document.definitions if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while waiting:
        for selection in waiting.pop().selections:
            inner = getattr(selection, "selection_set", None)
            if inner is not None:
                waiting.append(inner)
                count += isinstance(selection, FieldNode)
    return count


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    found = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    wanted = [each for each in found if name is None or (each.name is not None and each.name.value == name)]
    if len(wanted) != 1:
        raise GraphQLError(f"there is no operation {name!r}" if name is not None else "name the operation, for there are several")
    return wanted[0]


def _errors(errors: list[GraphQLError]) -> dict[str, Json]:
    shown: list[Json] = []
    for error in errors:
        formatted = error.formatted
        one: dict[str, Json] = {"message": formatted["message"]}
        if "locations" in formatted:
            one["locations"] = [{"line": place["line"], "column": place["column"]} for place in formatted["locations"]]
        if "path" in formatted:
            one["path"] = list(formatted["path"])
        shown.append(one)
    return {"errors": shown}
