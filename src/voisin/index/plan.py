"""
What a GraphQL query wants, as a tree that can be fetched level by level, with every limit checked before anything is fetched.

Source: the GraphQL specification, "Field Collection", for fragments and the directives `skip` and `include`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLIncludeDirective,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSkipDirective,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)
from graphql.execution import VariableValues, get_argument_values, get_directive_values

from voisin.index.entities import Catalog, Entity, Field, Kind
from voisin.index.sdl import DEFAULT_FIRST, MAX_FIRST
from voisin.index.settings import IndexSettings

Where = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Page:
    """Which of several entities are wanted, and in which order."""

    first: int = DEFAULT_FIRST
    skip: int = 0
    order_by: str = "id"
    is_descending: bool = False
    where: Where = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value of the entity itself; the name of its type when there is no field."""

    key: str
    field: Field | None


@dataclass(frozen=True, slots=True)
class Link:
    """Other entities that hang on one."""

    key: str
    field: Field
    branch: Branch
    page: Page


@dataclass(frozen=True, slots=True)
class Branch:
    """What is wanted of each entity at one place of a query, by the entity's name."""

    target: str
    wanted: Mapping[str, tuple[Leaf | Link, ...]]


@dataclass(frozen=True, slots=True)
class Root:
    """
    One field of the query itself.

    Attributes:
        key: Its name in the answer.
        target: The entity or interface; empty for `_meta` and the schema's own fields.
        name: The field's name.
        is_many: Whether several are wanted.
        id: Which one, where one is wanted.
        block: As of which block, as given.
        page: Which of several.
        branch: What is wanted of each.
        nodes: The field in the query.
    """

    key: str
    target: str
    name: str
    is_many: bool
    id: str
    block: Where
    page: Page
    branch: Branch | None
    nodes: tuple[FieldNode, ...]


class Planner:
    """Makes the plan of one operation."""

    def __init__(
        self,
        catalog: Catalog,
        schema: GraphQLSchema,
        settings: IndexSettings,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        """
        Args:
            catalog: What there is.
            schema: The same as a GraphQL schema.
            settings: The limits.
            fragments: The document's fragments.
            variables: The operation's variables.
        """
        self._catalog = catalog
        self._schema = schema
        self._settings = settings
        self._fragments = fragments
        self._variables = variables
        self._links = 0
        self._roots: dict[str, tuple[str, bool]] = {}
        for shape in catalog.shapes:
            names = (shape.plural, *(shape.aliases if isinstance(shape, Entity) else ()))
            self._roots |= dict.fromkeys(names, (shape.name, True)) | {shape.singular: (shape.name, False)}

    def plan(self, operation: OperationDefinitionNode) -> list[Root]:
        """
        Plan an operation.

        Raises:
            GraphQLError: It asks for too much, or for what makes no sense.
        """
        return [self._root(key, nodes) for key, nodes in self._collect([operation.selection_set], "Query").items()]

    def _root(self, key: str, nodes: list[FieldNode]) -> Root:
        name = nodes[0].name.value
        if name.startswith("__"):
            return Root(key, "", name, False, "", {}, Page(), None, tuple(nodes))
        arguments = self._arguments("Query", nodes[0])
        block = arguments.get("block") or {}
        assert isinstance(block, Mapping)
        if name == "_meta":
            return Root(key, "", name, False, "", block, Page(), None, tuple(nodes))
        target, is_many = self._roots[name]
        self._count(nodes[0])
        page = self._page(arguments, nodes[0]) if is_many else Page()
        branch = self._branch(target, nodes, depth=1)
        return Root(key, target, name, is_many, str(arguments.get("id", "")), block, page, branch, tuple(nodes))

    def meta_fields(self, nodes: Iterable[FieldNode], type_name: str) -> dict[str, list[FieldNode]]:
        """List what is wanted of a type that is no entity, by its name in the answer."""
        return self._collect([node.selection_set for node in nodes if node.selection_set], type_name)

    def _branch(self, target: str, nodes: list[FieldNode], *, depth: int) -> Branch:
        if depth > self._settings.max_depth:
            raise GraphQLError(f"the query is nested too deeply: at most {self._settings.max_depth} levels are allowed", nodes[0])
        selections = [node.selection_set for node in nodes if node.selection_set is not None]
        members = self._catalog.members(target)
        return Branch(target, {entity.name: self._wanted(entity, selections, depth) for entity in members})

    def _wanted(self, entity: Entity, selections: list[SelectionSetNode], depth: int) -> tuple[Leaf | Link, ...]:
        wanted: list[Leaf | Link] = []
        for key, nodes in self._collect(selections, entity.name).items():
            name = nodes[0].name.value
            if name == "__typename":
                wanted.append(Leaf(key, None))
                continue
            found = entity.field(name)
            if found.kind not in (Kind.REF, Kind.REFS, Kind.DERIVED, Kind.DERIVED_ONE):
                wanted.append(Leaf(key, found))
                continue
            self._count(nodes[0])
            is_list = found.kind in (Kind.REFS, Kind.DERIVED)
            page = self._page(self._arguments(entity.name, nodes[0]), nodes[0]) if is_list else Page(first=1)
            wanted.append(Link(key, found, self._branch(found.target, nodes, depth=depth + 1), page))
        return tuple(wanted)

    def _count(self, node: FieldNode) -> None:
        self._links += 1
        if self._links > self._settings.max_selections:
            raise GraphQLError(f"the query asks for more than {self._settings.max_selections} lists and references", node)

    def _arguments(self, type_name: str, node: FieldNode) -> dict[str, object]:
        owner = self._schema.type_map[type_name]
        assert isinstance(owner, GraphQLObjectType | GraphQLInterfaceType)
        return get_argument_values(owner.fields[node.name.value], node, self._variables)

    def _page(self, arguments: Mapping[str, object], node: FieldNode) -> Page:
        first, skip = arguments.get("first"), arguments.get("skip")
        first, skip = DEFAULT_FIRST if first is None else first, 0 if skip is None else skip
        if not isinstance(first, int) or not 0 <= first <= MAX_FIRST:
            raise GraphQLError(f"The value of the `first` argument must be between 0 and {MAX_FIRST}, but is {first}", node)
        if not isinstance(skip, int) or not 0 <= skip <= self._settings.max_skip:
            raise GraphQLError(f"The value of the `skip` argument must be between 0 and {self._settings.max_skip}, but is {skip}", node)
        where = arguments.get("where") or {}
        assert isinstance(where, Mapping)
        return Page(first, skip, str(arguments.get("orderBy") or "id"), arguments.get("orderDirection") == "desc", where)

    def _collect(self, selections: Iterable[SelectionSetNode], type_name: str) -> dict[str, list[FieldNode]]:
        """List the fields that apply to a type, by their name in the answer."""
        found: dict[str, list[FieldNode]] = {}
        self._gather(selections, type_name, found, set())
        return found

    def _gather(self, sets: Iterable[SelectionSetNode], type_name: str, found: dict[str, list[FieldNode]], seen: set[str]) -> None:
        for selection in (selection for each in sets for selection in each.selections):
            if not self._is_included(selection):
                continue
            match selection:
                case FieldNode():
                    found.setdefault((selection.alias or selection.name).value, []).append(selection)
                case InlineFragmentNode():
                    if selection.type_condition is None or self._applies(selection.type_condition.name.value, type_name):
                        self._gather([selection.selection_set], type_name, found, seen)
                case FragmentSpreadNode() if selection.name.value not in seen:
                    seen.add(selection.name.value)
                    fragment = self._fragments[selection.name.value]
                    if self._applies(fragment.type_condition.name.value, type_name):
                        self._gather([fragment.selection_set], type_name, found, seen)

    def _is_included(self, node: FieldNode | InlineFragmentNode | FragmentSpreadNode | object) -> bool:
        assert isinstance(node, FieldNode | InlineFragmentNode | FragmentSpreadNode)
        skip = get_directive_values(GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and (include is None or bool(include["if"]))

    def _applies(self, condition: str, type_name: str) -> bool:
        entity = self._catalog.entities.get(type_name)
        return condition == type_name or (entity is not None and condition == entity.implements)
