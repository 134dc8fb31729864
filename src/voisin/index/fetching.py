"""
Fetching what a plan wants from the database, level by level: for each link of a level one question about all entities of the level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError
from sqlalchemy import ColumnElement, Select, Subquery, Table, and_, asc, desc, func, literal, null, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from voisin.index.conditions import Conditions, expression
from voisin.index.entities import Catalog, Entity, Field, Interface, Kind
from voisin.index.plan import Branch, Link, Page, Root
from voisin.index.schema import TABLES
from voisin.index.sdl import sort_fields
from voisin.index.store import IDS_AT_ONCE

_ID = Page()


@dataclass(slots=True)
class Node:
    """An entity at one place of an answer, with what hangs on it by the name in the answer."""

    entity: Entity
    row: Mapping[str, object]
    links: dict[str, Node | list[Node] | None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The entity's id."""
        return str(self.row["id"])


@dataclass(slots=True)
class Budget:
    """How many entities a query may still cost, and how many it has."""

    left: int
    spent: int = 0

    def spend(self, entities: int) -> None:
        """
        Count entities.

        Raises:
            GraphQLError: There are too many.
        """
        self.left -= entities
        self.spent += entities
        if self.left < 0:
            raise GraphQLError("the query is too large: ask for less at a time")


@dataclass(frozen=True, slots=True)
class Place:
    """One entity of a list: on whom it hangs, of which kind it is, and its id."""

    parent: str
    kind: str
    id: str


class Fetcher:
    """Fetches the answer to one field of a query."""

    def __init__(self, connection: AsyncConnection, catalog: Catalog, *, block: int, budget: Budget) -> None:
        """
        Args:
            connection: A connection that sees one moment.
            catalog: What there is.
            block: As of which block it is asked.
            budget: How many entities may be fetched.
        """
        self._connection = connection
        self._catalog = catalog
        self._conditions = Conditions(catalog, block)
        self._budget = budget
        self._rows: dict[str, dict[str, Mapping[str, object] | None]] = {}

    async def fetch(self, root: Root) -> list[Node]:
        """
        Fetch what a field of the query wants.

        Raises:
            GraphQLError: A filter makes no sense, or it is too much.
        """
        assert root.branch is not None
        page = root.page if root.is_many else Page(first=1, where={"id": root.id})
        found = await self._places(root.target, page, None, ())
        nodes = await self._nodes(found)
        await self._fill(root.branch, nodes)
        return nodes

    async def _fill(self, branch: Branch, nodes: Sequence[Node]) -> None:
        """Fetch what hangs on entities."""
        by_kind: dict[str, list[Node]] = {}
        for node in nodes:
            by_kind.setdefault(node.entity.name, []).append(node)
        for kind, group in by_kind.items():
            for wanted in branch.wanted[kind]:
                if isinstance(wanted, Link):
                    await self._fill(wanted.branch, await self._hang(wanted, group))

    async def _hang(self, link: Link, nodes: Sequence[Node]) -> list[Node]:
        """Hang what a link leads to on its entities; answers all of it."""
        match link.field.kind:
            case Kind.REF:
                return await self._hang_one(link, nodes)
            case Kind.REFS:
                return await self._hang_listed(link, nodes)
            case _:
                return await self._hang_derived(link, nodes)

    async def _hang_one(self, link: Link, nodes: Sequence[Node]) -> list[Node]:
        (target,) = self._catalog.members(link.field.target)
        rows = await self._load(target, {str(node.row[link.field.stored_as]) for node in nodes})
        hung = []
        for node in nodes:
            row = rows.get(str(node.row[link.field.stored_as]))
            child = None if row is None else self._node(target, row)
            node.links[link.key] = child
            hung += [] if child is None else [child]
        return hung

    async def _hang_listed(self, link: Link, nodes: Sequence[Node]) -> list[Node]:
        """Hang entities whose ids a field lists: all that are named anywhere, in order, and then each its own."""
        listed = {node.id: self._listed(link.field, node) for node in nodes}
        named = sorted({name for names in listed.values() for name in names})
        everything = Page(first=0, order_by=link.page.order_by, is_descending=link.page.is_descending, where=link.page.where)
        found = [place for part in _parts(named) for place in await self._places(link.field.target, everything, None, part)]
        if len(named) > IDS_AT_ONCE:
            raise GraphQLError("the query is too large: ask for less at a time")
        own: list[Place] = []
        for node in nodes:
            mine = [place for place in found if place.id in listed[node.id]]
            own += [Place(node.id, place.kind, place.id) for place in mine[link.page.skip : link.page.skip + link.page.first]]
        return await self._share(link, nodes, own)

    async def _hang_derived(self, link: Link, nodes: Sequence[Node]) -> list[Node]:
        names = sorted({node.id for node in nodes})
        via = link.field.via
        own = [place for part in _parts(names) for place in await self._places(link.field.target, link.page, via, part)]
        return await self._share(link, nodes, own)

    async def _share(self, link: Link, nodes: Sequence[Node], own: Sequence[Place]) -> list[Node]:
        """Give each entity those that are its own; the same entity may stand at several places of an answer."""
        by_parent: dict[str, list[Place]] = {}
        for place in own:
            by_parent.setdefault(place.parent, []).append(place)
        hung: list[Node] = []
        for node in nodes:
            children = await self._nodes(by_parent.get(node.id, ()))
            node.links[link.key] = children if link.field.kind is not Kind.DERIVED_ONE else children[0] if children else None
            hung += children
        return hung

    def _listed(self, listing: Field, node: Node) -> tuple[str, ...]:
        value = () if listing.constant is not None else node.row[listing.stored_as]
        assert isinstance(value, tuple)
        return value

    async def _nodes(self, places: Iterable[Place]) -> list[Node]:
        places = list(places)
        for kind in sorted({place.kind for place in places}):
            await self._load(self._catalog.entities[kind], {place.id for place in places if place.kind == kind})
        found = []
        for place in places:
            entity = self._catalog.entities[place.kind]
            row = self._rows[entity.table_name][place.id]
            if row is not None:
                found.append(self._node(entity, row))
        return found

    def _node(self, entity: Entity, row: Mapping[str, object]) -> Node:
        self._budget.spend(1)
        return Node(entity, row)

    async def _load(self, entity: Entity, names: set[str]) -> dict[str, Mapping[str, object] | None]:
        """Load entities by their ids, each once in a query."""
        rows = self._rows.setdefault(entity.table_name, {})
        table = TABLES[entity.table_name]
        unknown = sorted(names - rows.keys())
        self._budget.spend(len(unknown))
        for part in _parts(unknown):
            rows.update(dict.fromkeys(part))
            found = await self._connection.execute(select(table).where(table.c.id.in_(part), self._conditions.holds(table)))
            rows.update({row["id"]: dict(row) for row in found.mappings()})
        return rows

    async def _places(self, target: str, page: Page, via: str | None, names: Sequence[str]) -> list[Place]:
        """
        Find the entities of a page.

        Args:
            target: The entity or interface.
            page: Which of them.
            via: The field that must name one of `names`, each of which gets a page of its own; None for one page of all.
            names: Without `via`, the ids that come into question; none for all.
        """
        shape = self._catalog.shape(target)
        candidates = [self._candidates(entity, shape, page, via, names) for entity in self._catalog.members(target)]
        inner: Subquery = (candidates[0] if len(candidates) == 1 else union_all(*candidates)).subquery()
        order = self._ordering(shape, page, inner)
        if via is not None:
            place = func.row_number().over(partition_by=inner.c.parent, order_by=order).label("place")
            numbered = select(inner.c.parent, inner.c.kind, inner.c.id, place).subquery()
            is_wanted = and_(numbered.c.place > page.skip, numbered.c.place <= page.skip + page.first)
            asking = select(numbered.c.parent, numbered.c.kind, numbered.c.id).where(is_wanted).order_by(numbered.c.place)
        else:
            asking = select(inner.c.parent, inner.c.kind, inner.c.id).order_by(*order)
            asking = asking if names else asking.offset(page.skip).limit(page.first)
        found = (await self._connection.execute(asking.limit(self._budget.left + 1) if via is not None or names else asking)).all()
        self._budget.spend(len(found))
        return [Place(str(row.parent), str(row.kind), str(row.id)) for row in found]

    def _candidates(self, entity: Entity, shape: Entity | Interface, page: Page, via: str | None, names: Sequence[str]) -> Select[Any]:
        """Select the entities of one kind that fit a page's filter, with what they are sorted by."""
        table: Table = TABLES[entity.table_name]
        parent = literal("") if via is None else expression(entity.field(via), table)
        named = true() if not names else table.c.id.in_(names) if via is None else parent.in_(names)
        fits = self._conditions.fit(shape, table, page.where)
        sort = self._sort_value(entity, table, page)
        columns: list[ColumnElement[Any]] = [parent.label("parent"), literal(entity.name).label("kind"), sort.label("sort"), table.c.id]
        return select(*columns).where(self._conditions.holds(table), named, *fits)

    def _ordering(self, shape: Entity | Interface, page: Page, inner: Subquery) -> list[ColumnElement[Any]]:
        """
        Sort: nulls after all values, or before them when descending, on every database; then by id.

        What never is null is sorted by alone, so that the database can read the order off an index.
        """
        direction = desc if page.is_descending else asc
        if page.order_by == "id":
            return [direction(inner.c.id)]
        may_be_null = "__" in page.order_by or shape.field(page.order_by).is_optional
        nulls = [direction(inner.c.sort.is_(None))] if may_be_null else []
        return [*nulls, direction(inner.c.sort), direction(inner.c.id)]

    def _sort_value(self, entity: Entity, table: Table, page: Page) -> ColumnElement[object]:
        if page.order_by == "id":
            return null()  # type: ignore[return-value]  # the id comes after it anyway
        field, inner = next((field, inner) for name, field, inner in sort_fields(self._catalog, entity) if name == page.order_by)
        if inner is None:
            return expression(field, table)
        target = self._catalog.entities[field.target]
        other = TABLES[target.table_name].alias()
        hangs = other.c.id == expression(field, table)
        return select(expression(inner, other)).where(hangs, self._conditions.holds(other)).scalar_subquery()


def _parts(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[first : first + IDS_AT_ONCE] for first in range(0, len(names), IDS_AT_ONCE))
