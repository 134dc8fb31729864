"""
The one table of what the index knows: entities, their fields and how they hang together.

The database's tables, the GraphQL schema with all its filters, and the documentation are made from it; nothing else lists fields.
Names are those of the ecosystem's subgraphs, so that their clients' queries mean here what they mean there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a field holds."""

    ID = auto()
    STRING = auto()
    BYTES = auto()
    """Hex text, `0x` and lower-case digits."""
    BIGINT = auto()
    """A whole number from 0 to 2^256 - 1."""
    RLC = auto()
    """An amount: kept in nRLC, shown as a decimal in RLC."""
    INT = auto()
    BOOLEAN = auto()
    ENUM = auto()
    REF = auto()
    """The id of one entity, which need not be there."""
    REFS = auto()
    """The ids of several entities, in order."""
    DERIVED = auto()
    """All entities whose field `via` names this one; nothing is kept for it."""
    DERIVED_ONE = auto()
    """The one entity whose field `via` names this one, if there is any."""


STORED = frozenset(Kind) - {Kind.DERIVED, Kind.DERIVED_ONE}


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of an entity.

    Attributes:
        name: Its name in queries.
        kind: What it holds.
        is_optional: Whether it may be null.
        target: The entity or interface that a reference leads to, or the name of an enumeration.
        via: The target's field that leads back, for a derived field.
        column: Its column, where that has another name.
        constant: What it always is, where nothing is kept for it.
    """

    name: str
    kind: Kind
    is_optional: bool = False
    target: str = ""
    via: str = ""
    column: str = ""
    constant: str | bool | None = None

    @property
    def stored_as(self) -> str:
        """The name of its column."""
        return self.column or self.name


@dataclass(frozen=True, slots=True)
class Entity:
    """
    Something with an id that the index knows.

    Attributes:
        name: Its name in queries.
        plural: What the query for several is called.
        fields: Its fields, `id` first.
        implements: The interface that it is one of.
        table: The entity whose table it shows, where it has none of its own.
        aliases: Other names of the query for several.
    """

    name: str
    plural: str
    fields: tuple[Field, ...]
    implements: str = ""
    table: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def singular(self) -> str:
        """What the query for one is called."""
        return self.name[0].lower() + self.name[1:]

    @property
    def table_name(self) -> str:
        """The name of its table."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.table or self.name).lower()

    def field(self, name: str) -> Field:
        """Find a field by its name."""
        return next(field for field in self.fields if field.name == name)


@dataclass(frozen=True, slots=True)
class Interface:
    """Entities with fields in common, which can be asked for together."""

    name: str
    plural: str
    fields: tuple[Field, ...]

    @property
    def singular(self) -> str:
        """What the query for one is called."""
        return self.name[0].lower() + self.name[1:]

    def field(self, name: str) -> Field:
        """Find a field by its name."""
        return next(field for field in self.fields if field.name == name)


@dataclass(frozen=True)
class Catalog:
    """
    What one GraphQL endpoint offers.

    Attributes:
        name: What the endpoint is called.
        entities: Its entities, by name.
        interfaces: Its interfaces, by name.
        enums: Its enumerations.
    """

    name: str
    entities: Mapping[str, Entity]
    interfaces: Mapping[str, Interface]
    enums: Mapping[str, tuple[str, ...]]

    def members(self, name: str) -> tuple[Entity, ...]:
        """List the entities that a target stands for: one, or all that implement it."""
        if name in self.entities:
            return (self.entities[name],)
        return tuple(entity for entity in self.entities.values() if entity.implements == name)

    @property
    def shapes(self) -> tuple[Entity | Interface, ...]:
        """Everything that can be asked for: interfaces, then entities."""
        return (*self.interfaces.values(), *self.entities.values())

    def shape(self, name: str) -> Entity | Interface:
        """Find an entity or interface."""
        return self.entities[name] if name in self.entities else self.interfaces[name]


def identity() -> Field:
    """Make the field that every entity has."""
    return Field("id", Kind.ID)


def text(name: str, *, is_optional: bool = False) -> Field:
    """Make a field of text."""
    return Field(name, Kind.STRING, is_optional)


def data(name: str, *, is_optional: bool = False) -> Field:
    """Make a field of bytes."""
    return Field(name, Kind.BYTES, is_optional)


def number(name: str, *, is_optional: bool = False) -> Field:
    """Make a field of a whole number."""
    return Field(name, Kind.BIGINT, is_optional)


def amount(name: str, *, is_optional: bool = False) -> Field:
    """Make a field of money."""
    return Field(name, Kind.RLC, is_optional)


def ref(name: str, target: str, *, is_optional: bool = False) -> Field:
    """Make a field that names another entity."""
    return Field(name, Kind.REF, is_optional, target)


def refs(name: str, target: str) -> Field:
    """Make a field that names several entities."""
    return Field(name, Kind.REFS, target=target)


def many(name: str, target: str, via: str) -> Field:
    """Make a derived field."""
    return Field(name, Kind.DERIVED, target=target, via=via)


def one(name: str, target: str, via: str) -> Field:
    """Make a derived field of at most one entity."""
    return Field(name, Kind.DERIVED_ONE, is_optional=True, target=target, via=via)


def catalog(name: str, entities: tuple[Entity, ...], interfaces: tuple[Interface, ...], enums: Mapping[str, tuple[str, ...]]) -> Catalog:
    """Put a catalog together."""
    return Catalog(name, {each.name: each for each in entities}, {each.name: each for each in interfaces}, enums)
