"""
Answers as GraphQL writes them: a null where nothing may be missing takes the place of the whole entity.

Source: the GraphQL specification, "Handling Execution Errors". Numbers of any size travel as text, as with The Graph.
"""

from __future__ import annotations

from collections.abc import Sequence

from voisin.index.entities import Field, Kind
from voisin.index.fetching import Node
from voisin.index.plan import Branch, Leaf
from voisin.units import NRLC_PER_RLC

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]


class MissingError(Exception):
    """
    Nothing is there where something must be.

    Attributes:
        path: Where, from the inside out.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"Null value resolved for non-null field `{name}`")
        self.path: list[str | int] = []


def show_nodes(branch: Branch, nodes: Sequence[Node]) -> list[Json]:
    """
    Write a list of entities.

    Raises:
        MissingError: One of them lacks what must be there.
    """
    shown: list[Json] = []
    for place, node in enumerate(nodes):
        try:
            shown.append(show_node(branch, node))
        except MissingError as error:
            error.path.append(place)
            raise
    return shown


def show_node(branch: Branch, node: Node) -> dict[str, Json]:
    """
    Write an entity.

    Raises:
        MissingError: It lacks what must be there.
    """
    shown: dict[str, Json] = {}
    for wanted in branch.wanted[node.entity.name]:
        if isinstance(wanted, Leaf):
            shown[wanted.key] = node.entity.name if wanted.field is None else show_value(wanted.field, node.row)
            continue
        hung = node.links[wanted.key]
        try:
            if isinstance(hung, list):
                shown[wanted.key] = show_nodes(wanted.branch, hung)
            elif hung is not None:
                shown[wanted.key] = show_node(wanted.branch, hung)
            elif wanted.field.is_optional:
                shown[wanted.key] = None
            else:
                raise MissingError(wanted.field.name)
        except MissingError as error:
            if not wanted.field.is_optional:
                error.path.append(wanted.key)
                raise
            shown[wanted.key] = None
    return shown


def show_value(field: Field, row: object) -> Json:
    """Write a value of an entity."""
    if field.constant is not None:
        return field.constant
    assert isinstance(row, dict)
    value = row[field.stored_as]
    match field.kind:
        case _ if value is None:
            return None
        case Kind.BIGINT:
            return str(value)
        case Kind.RLC:
            return show_amount(int(value))
        case Kind.INT:
            return int(value)
        case _:
            return str(value)


def show_amount(nrlc: int) -> str:
    """Write an amount [nRLC] as a decimal in RLC, without needless zeros."""
    whole, fraction = divmod(nrlc, NRLC_PER_RLC)
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") if fraction else str(whole)
