"""
The GraphQL schema of a catalog: types, queries, and the filters of every field, spelled as The Graph spells them.

Source: The Graph's documentation, "GraphQL API": filters by the kind of a field, `and` and `or`, `block`, `_meta`.
"""

from __future__ import annotations

from collections.abc import Iterator

from voisin.index.entities import STORED, Catalog, Entity, Field, Interface, Kind

MAX_FIRST, DEFAULT_FIRST = 1000, 100

_EQUAL = ("", "not", "in", "not_in")
_ORDERED = (*_EQUAL, "gt", "lt", "gte", "lte")
_PARTS = tuple(f"{no}{part}{case}" for part in ("contains", "starts_with", "ends_with") for no in ("", "not_") for case in ("", "_nocase"))
_LISTED = ("", "not", "contains", "contains_nocase", "not_contains", "not_contains_nocase")

OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.ID: _ORDERED,
    Kind.STRING: (*_ORDERED, *_PARTS),
    Kind.REF: (*_ORDERED, *_PARTS),
    Kind.BYTES: (*_ORDERED, "contains", "not_contains"),
    Kind.BIGINT: _ORDERED,
    Kind.RLC: _ORDERED,
    Kind.INT: _ORDERED,
    Kind.BOOLEAN: _EQUAL,
    Kind.ENUM: _EQUAL,
    Kind.REFS: _LISTED,
}
"""Which conditions each kind of field takes; the name of a condition is the field's, an underscore, and one of these."""

_SCALARS = {
    Kind.ID: "ID",
    Kind.STRING: "String",
    Kind.BYTES: "Bytes",
    Kind.BIGINT: "BigInt",
    Kind.RLC: "BigDecimal",
    Kind.INT: "Int",
    Kind.BOOLEAN: "Boolean",
    Kind.REF: "String",
    Kind.REFS: "String",
}

_FIXED = """
scalar BigInt
scalar BigDecimal
scalar Bytes
enum OrderDirection { asc desc }
enum _SubgraphErrorPolicy_ { allow deny }
input Block_height { hash: Bytes, number: Int, number_gte: Int }
input BlockChangedFilter { number_gte: Int! }
type _Block_ { hash: Bytes, number: Int!, timestamp: Int, parentHash: Bytes }
type _Meta_ { block: _Block_!, deployment: String!, hasIndexingErrors: Boolean! }
"""


def write_sdl(catalog: Catalog) -> str:
    """Write a catalog as a GraphQL schema."""
    return "\n".join(_definitions(catalog))


def condition_names(field: Field) -> list[tuple[str, str]]:
    """List the conditions on a field: the name in a filter, and the operator."""
    if field.kind not in OPERATORS:
        return []
    return [(f"{field.name}_{operator}" if operator else field.name, operator) for operator in OPERATORS[field.kind]]


def sort_fields(catalog: Catalog, shape: Entity | Interface) -> Iterator[tuple[str, Field, Field | None]]:
    """List what a query may be sorted by: its name, the field, and the field of the entity that it names, for `field__inner`."""
    for field in shape.fields:
        if field.kind is Kind.REFS or (field.kind not in STORED and field.kind is not Kind.DERIVED_ONE):
            continue
        if field.kind is not Kind.DERIVED_ONE:
            yield field.name, field, None
        if field.kind is Kind.REF and field.target in catalog.entities:
            for inner in catalog.entities[field.target].fields:
                if inner.kind in STORED - {Kind.REF, Kind.REFS}:
                    yield f"{field.name}__{inner.name}", field, inner


def _definitions(catalog: Catalog) -> Iterator[str]:
    yield _FIXED
    for name, values in catalog.enums.items():
        yield f"enum {name} {{ {' '.join(values)} }}"
    for shape in catalog.shapes:
        yield from _type(shape)
        yield f"enum {shape.name}_orderBy {{ {' '.join(name for name, _, _ in sort_fields(catalog, shape))} }}"
        yield from _filter(catalog, shape)
    yield "type Query {"
    for shape in catalog.shapes:
        block = "block: Block_height, subgraphError: _SubgraphErrorPolicy_! = deny"
        yield f"  {shape.singular}(id: ID!, {block}): {shape.name}"
        for plural in (shape.plural, *(shape.aliases if isinstance(shape, Entity) else ())):
            yield f"  {plural}({_page(shape.name)}, {block}): [{shape.name}!]!"
    yield "  _meta(block: Block_height): _Meta_"
    yield "}"


def _type(shape: Entity | Interface) -> Iterator[str]:
    is_member = isinstance(shape, Entity) and bool(shape.implements)
    keyword = "type" if isinstance(shape, Entity) else "interface"
    yield f"{keyword} {shape.name}{f' implements {shape.implements}' if is_member and isinstance(shape, Entity) else ''} {{"
    for field in shape.fields:
        yield f"  {_field(field)}"
    yield "}"


def _field(field: Field) -> str:
    end = "" if field.is_optional else "!"
    match field.kind:
        case Kind.DERIVED | Kind.REFS:
            return f"{field.name}({_page(field.target)}): [{field.target}!]!"
        case Kind.REF | Kind.ENUM | Kind.DERIVED_ONE:
            return f"{field.name}: {field.target}{end}"
        case _:
            return f"{field.name}: {_SCALARS[field.kind]}{end}"


def _page(target: str) -> str:
    order = f"orderBy: {target}_orderBy, orderDirection: OrderDirection"
    return f"skip: Int = 0, first: Int = {DEFAULT_FIRST}, {order}, where: {target}_filter"


def _filter(catalog: Catalog, shape: Entity | Interface) -> Iterator[str]:
    name = f"{shape.name}_filter"
    yield f"input {name} {{"
    for field in shape.fields:
        scalar = field.target if field.kind is Kind.ENUM else _SCALARS.get(field.kind, "")
        for condition, operator in condition_names(field):
            is_list = operator in ("in", "not_in") or field.kind is Kind.REFS
            yield f"  {condition}: {f'[{scalar}!]' if is_list else scalar}"
        if field.target in catalog.entities and field.constant is None:
            yield f"  {field.name}_: {field.target}_filter"
    yield "  _change_block: BlockChangedFilter"
    yield f"  and: [{name}]"
    yield f"  or: [{name}]"
    yield "}"
