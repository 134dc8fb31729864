"""Lists from the index are what a naive reading of The Graph's conventions gives: every filter, order and page, on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import pytest
from anyio import from_thread, to_thread
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from tests.support.nights import examples
from voisin.index.draft import Key, Version
from voisin.index.poco import POCO
from voisin.index.queries import GraphQL, GraphQLRequest
from voisin.index.schema import TABLES
from voisin.index.settings import IndexSettings
from voisin.index.store import Anchor, Position, SqlStore, open_store
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Hash32, as_address
from voisin.units import UnixSeconds

DOMAIN = Domain(chain_id=31337, hub=as_address("0x" + "11" * 20))
HEAD, HASH = 3, Hash32("0x" + "ab" * 32)
RLC = 10**9

HEXES = st.sampled_from(["0x", "0xa1", "0xa1b2", "0xb2", "0xff00"])
NAMES = st.sampled_from(["0xa1", "0xb2", "0xc3"])
TEXTS = st.text("aAbB%_é\\ \N{SNOWMAN}\U0001f600", max_size=4)
NUMBERS = st.sampled_from([0, 1, 9, 10, 99, 2**63, 2**64 + 1, 2**256 - 1])
AMOUNTS = st.sampled_from([0, 1, 5 * 10**8, RLC, 10 * RLC, 2**256 - 1])
ODD_NUMBERS = st.one_of(NUMBERS, st.sampled_from([-1, 2**256, -(10**80), "1.5", "-0.5", "7"]))
STATUSES = ("UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED")
ORDERED = ("", "not", "gt", "gte", "lt", "lte", "in", "not_in")
PARTS = tuple(f"{no}{part}{case}" for no in ("", "not_") for part in ("contains", "starts_with", "ends_with") for case in ("", "_nocase"))

# the fields of a task by what they hold, written a second time by hand
TASK = {
    "id": "hex",
    "status": "enum",
    "deal": "ref",
    "index": "number",
    "requester": "ref",
    "contributions": "refs",
    "consensus": "bytes",
    "results": "text",
    "contributionDeadline": "number",
    "revealDeadline": "number",
    "timestamp": "number",
}
ACCOUNT = {"id": "hex", "balance": "rlc", "frozen": "rlc", "score": "number"}
REWARD = {"id": "hex", "account": "ref", "value": "rlc", "timestamp": "number"}
KINDS = {"Task": TASK, "Account": ACCOUNT, "Reward": REWARD}
PLURALS = {"Task": "tasks", "Account": "accounts", "Reward": "rewards"}


@dataclass
class World:
    """Entities of each kind by id, and the block from which each holds."""

    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    since: dict[tuple[str, str], int] = field(default_factory=dict)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw some accounts, tasks and rewards."""
    world = World({kind: {} for kind in KINDS})
    for name in draw(st.lists(NAMES, unique=True)):
        world.rows["Account"][name] = {"balance": draw(AMOUNTS), "frozen": draw(AMOUNTS), "score": draw(NUMBERS)}
    for number in range(draw(st.integers(3, 8))):
        world.rows["Task"][f"0x{number:02x}"] = {
            "status": draw(st.sampled_from(STATUSES)),
            "deal": draw(NAMES),
            "index": draw(NUMBERS),
            "requester": draw(NAMES),
            "contributions": tuple(draw(st.lists(NAMES, max_size=2))),
            "consensus": draw(st.none() | HEXES),
            "resultDigest": None,
            "results": draw(st.none() | TEXTS),
            "resultsCallback": None,
            "contributionDeadline": draw(NUMBERS),
            "revealDeadline": draw(st.none() | NUMBERS),
            "finalDeadline": 0,
            "timestamp": draw(NUMBERS),
        }
    for number in range(draw(st.integers(3, 8))):
        row = {"transaction": "0x", "timestamp": draw(NUMBERS), "account": draw(NAMES), "value": draw(AMOUNTS), "task": "0x00"}
        world.rows["Reward"][f"1-{number}"] = row
    for kind, rows in world.rows.items():
        for name in rows:
            world.since[kind, name] = draw(st.integers(1, HEAD))
    return world


@st.composite
def filters(draw: st.DrawFn, kind: str, depth: int = 2) -> dict[str, Any]:
    """Draw a filter on a kind of entity."""
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(KINDS[kind])), max_size=2)):
        operator, value = draw(conditions(KINDS[kind][name]))
        found[f"{name}_{operator}" if operator else name] = value
    if depth and draw(st.integers(0, 3)) == 0:
        found[draw(st.sampled_from(["and", "or"]))] = draw(st.lists(filters(kind, depth - 1), max_size=3))
    if depth and kind == "Task" and draw(st.integers(0, 3)) == 0:
        found["requester_"] = draw(filters("Account", 0))
    if depth and kind == "Reward" and draw(st.integers(0, 3)) == 0:
        found["account_"] = draw(filters("Account", 0))
    if draw(st.integers(0, 7)) == 0:
        found["_change_block"] = {"number_gte": draw(st.integers(0, HEAD + 1))}
    return found


@st.composite
def conditions(draw: st.DrawFn, holds: str) -> tuple[str, Any]:
    """Draw an operator and a value for what a field holds."""
    operators = {
        "enum": ORDERED[:2] + ORDERED[-2:],
        "refs": ("", "not", "contains", "not_contains", "contains_nocase", "not_contains_nocase"),
        "text": ORDERED + PARTS,
        "ref": ORDERED + PARTS,
        "bytes": (*ORDERED, "contains", "not_contains"),
    }
    operator = draw(st.sampled_from(operators.get(holds, ORDERED)))
    values: dict[str, st.SearchStrategy[Any]] = {
        "enum": st.sampled_from(STATUSES),
        "refs": NAMES,
        "text": TEXTS,
        "ref": NAMES | st.sampled_from(["0xA1", "0xB2", "0x", "a"]),
        "hex": NAMES | st.sampled_from(["0x00", "0x01", "1-0", "1-1"]),
        "bytes": HEXES | st.just("0xA1"),
        "number": ODD_NUMBERS,
        "rlc": st.one_of(AMOUNTS.map(lambda nrlc: str(Decimal(nrlc) / RLC)), st.sampled_from(["0.5", "-1", "0.0000000005", "1e70", 1])),
    }
    if operator in ("in", "not_in") or holds == "refs":
        return operator, draw(st.lists(values[holds], max_size=3))
    if operator in ("", "not") and draw(st.integers(0, 5)) == 0:
        return operator, None
    return operator, draw(values[holds])


def fits(world: World, kind: str, name: str, where: dict[str, Any]) -> bool:
    """Read a filter, condition after condition."""
    return all(_fits_one(world, kind, name, condition, value) for condition, value in where.items())


def _fits_one(world: World, kind: str, name: str, condition: str, value: Any) -> bool:
    if condition == "and":
        return all(fits(world, kind, name, part) for part in value)
    if condition == "or":
        return any(fits(world, kind, name, part) for part in value) or not value
    if condition == "_change_block":
        return bool(world.since[kind, name] >= value["number_gte"])
    row = {"id": name, **world.rows[kind][name]}
    if condition.endswith("_"):
        other = row[condition[:-1]]
        return other in world.rows["Account"] and fits(world, "Account", other, value)
    wanted = max((each for each in KINDS[kind] if condition == each or condition.startswith(f"{each}_")), key=len)
    return compare(KINDS[kind][wanted], row[wanted], condition[len(wanted) + 1 :], value)


def compare(holds: str, have: Any, operator: str, value: Any) -> bool:
    """Compare one value, as the conventions say; null fits nothing but a question about null."""
    if value is None:
        return (have is None) == (operator == "")
    if have is None:
        return False
    if holds == "refs":
        return compare_list(list(have), operator, value)
    if operator in ("in", "not_in"):
        return any(compare(holds, have, "", each) for each in value) == (operator == "in")
    if holds in ("number", "rlc"):
        have, value = exact(have) / (RLC if holds == "rlc" else 1), exact(value)
    elif holds != "text" and value.startswith("0x") and all(digit in "0123456789abcdefABCDEF" for digit in value[2:]):
        value = value.lower()
    if operator in ("gt", "gte", "lt", "lte") and isinstance(have, str):
        have, value = have.encode(), value.encode()
    match operator:
        case "":
            return bool(have == value)
        case "not":
            return bool(have != value)
        case "gt":
            return bool(have > value)
        case "gte":
            return bool(have >= value)
        case "lt":
            return bool(have < value)
        case "lte":
            return bool(have <= value)
    if operator.endswith("_nocase"):
        have, value, operator = low(have), low(value), operator.removesuffix("_nocase")
    plain = operator.removeprefix("not_")
    found = {"contains": value in have, "starts_with": have.startswith(value), "ends_with": have.endswith(value)}[plain]
    return found != operator.startswith("not_")


def compare_list(have: list[str], operator: str, values: list[str]) -> bool:
    """Compare a list of ids."""
    if operator in ("", "not"):
        return (have == values) == (operator == "")
    has_all = all(value in have for value in values)
    return has_all != operator.startswith("not_")


def exact(number: object) -> Any:
    """Read a number without rounding."""
    from fractions import Fraction

    return Fraction(str(number))


def low(text: str) -> str:
    """Make the letters A to Z small, and no others."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text)


def in_order(world: World, kind: str, names: list[str], by: str, *, is_descending: bool) -> list[str]:
    """Sort: nulls last, or first when descending; equals by id."""

    def key(name: str) -> Any:
        row = {"id": name, **world.rows[kind][name]}
        if "__" in by:
            outer, inner = by.split("__")
            other = world.rows["Account"].get(row[outer])
            value = None if other is None else {"id": row[outer], **other}[inner]
        else:
            value = row[by]
        value = value.encode() if isinstance(value, str) else value
        return (value is None, value if value is not None else 0, name)

    return sorted(names, key=key, reverse=is_descending)


@dataclass
class Question:
    """A list that is asked for."""

    kind: str
    where: dict[str, Any]
    order_by: str
    is_descending: bool
    first: int
    skip: int
    block: int


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Draw a question."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    inner = {"Task": ["requester__score", "requester__balance", "requester__id"], "Reward": ["account__frozen"], "Account": []}[kind]
    sortable = [name for name, holds in KINDS[kind].items() if holds != "refs"] + inner
    return Question(
        kind,
        draw(filters(kind)),
        draw(st.sampled_from(sortable)),
        draw(st.booleans()),
        draw(st.sampled_from([0, 1, 4, 9, 9])),
        draw(st.sampled_from([0, 0, 0, 2])),
        draw(st.sampled_from([HEAD, HEAD, HEAD, 0, 1, 2])),
    )


VALUES: dict[str, list[Any]] = {
    "enum": list(STATUSES[:3]),
    "ref": ["0xa1", "0xA1", "0xb2", "0x", "a1", ""],
    "hex": ["0x00", "0x03", "0xff", ""],
    "bytes": ["0x", "0xa1", "0xA1B2", "0xb2"],
    "text": ["", "a", "A", "aB", "%", "_", "\\", "é", "É", "\N{SNOWMAN}", "\U0001f600", "b\N{SNOWMAN}"],
    "number": [0, 9, 10, 2**256 - 1, -1, 2**256, "9.5", "-0.5", "1e1"],
    "rlc": ["0", "0.5", "1", "10", "-1", "0.0000000005", "1e70", "9.9999999999"],
}
TEXT_VALUES = ["", "a", "A", "aB", "Ab%", "a_\\b", "é", "É", "b\N{SNOWMAN}", "\N{SNOWMAN}", "\U0001f600a"]


def one_of_everything() -> World:
    """A world in which each field holds each sort of value somewhere."""
    world = World({"Account": {}, "Task": {}, "Reward": {}})
    amounts = [0, RLC // 2, RLC, 10 * RLC, 2**256 - 1]
    for number, name in enumerate(("0xa1", "0xb2", "0xc3", "0xd4", "0xe5")):
        world.rows["Account"][name] = {"balance": amounts[number], "frozen": 0, "score": [0, 9, 10, 11, 2**256 - 1][number]}
    for number, text in enumerate([*TEXT_VALUES, None]):
        world.rows["Task"][f"0x{number:02x}"] = {
            **dict.fromkeys(("resultDigest", "resultsCallback")),
            **dict.fromkeys(("contributionDeadline", "finalDeadline", "timestamp"), number),
            "status": STATUSES[number % 3],
            "deal": ["0xa1", "0xb2", "0xa1b2"][number % 3],
            "index": [0, 9, 10, 11, 2**256 - 1][number % 5],
            "requester": ["0xa1", "0xb2", "0xff"][number % 3],
            "contributions": [(), ("0xa1",), ("0xa1", "0xb2"), ("0xb2", "0xa1")][number % 4],
            "consensus": ["0x", "0xa1", "0xa1b2", None][number % 4],
            "results": text,
            "revealDeadline": [None, 0, 9, 10][number % 4],
        }
    for kind, rows in world.rows.items():
        world.since |= {(kind, name): 1 for name in rows}
    return world


def every_condition() -> list[Question]:
    """Each operator on each kind of field with each sort of value."""
    asked = []
    for kind, name in [("Task", name) for name in TASK] + [("Account", name) for name in ACCOUNT]:
        holds = KINDS[kind][name]
        operators = {"enum": ("", "not", "in", "not_in"), "bytes": (*ORDERED, "contains", "not_contains")}.get(holds, ORDERED)
        operators += PARTS if holds in ("text", "ref") else ()
        if holds == "refs":
            operators = ("", "not", "contains", "not_contains", "contains_nocase", "not_contains_nocase")
        for operator in operators:
            if holds == "refs":
                values: list[Any] = [[], ["0xa1"], ["0xa1", "0xb2"], ["0xb2", "0xa1"], ["0xff"]]
            elif operator in ("in", "not_in"):
                values = [[], VALUES[holds][:1], VALUES[holds][:2], VALUES[holds]]
            else:
                values = [*VALUES[holds], *([None] if operator in ("", "not") else [])]
            condition = f"{name}_{operator}" if operator else name
            asked += [Question(kind, {condition: value}, "id", False, 100, 0, HEAD) for value in values]
    return asked


@pytest.mark.anyio
async def test_every_condition_on_every_kind_of_field(database_url: str) -> None:
    """One condition at a time, exhaustively."""
    async with open_store(database_url, DOMAIN, 0) as store:
        await begin(store)
        asked = every_condition()
        assert len(asked) > 700
        await compare_all(store, GraphQL(POCO, store, IndexSettings(), "test"), one_of_everything(), asked)


async def begin(store: SqlStore) -> None:
    """Have the records reach the head."""
    async with store.write() as write:
        await write.advance(Position(HEAD + 1, HASH), Anchor(HEAD, HASH, UnixSeconds(1)), keep=9)


async def fill(store: SqlStore, world: World) -> None:
    """Replace the records by a world."""
    async with store.write() as write:
        for table in TABLES.values():
            await write.connection.execute(delete(table))
        versions = [
            Version(Key(kind, name), world.since[kind, name], row) for kind, rows in world.rows.items() for name, row in rows.items()
        ]
        await write.keep(versions)


async def ask(graph: GraphQL, questions: list[Question]) -> list[list[str]]:
    """Ask for ids, several lists in one query."""
    declared, fields, variables = [], [], {}
    for number, question in enumerate(questions):
        kind, names = question.kind, {"where": "filter", "orderBy": "orderBy"}
        declared += [f"${name}{number}: {kind}_{suffix}" for name, suffix in names.items()]
        direction = "desc" if question.is_descending else "asc"
        page = f"orderDirection: {direction}, first: {question.first}, skip: {question.skip}, block: {{number: {question.block}}}"
        fields.append(f"l{number}: {PLURALS[kind]}(where: $where{number}, orderBy: $orderBy{number}, {page}) {{ id }}")
        variables |= {f"where{number}": question.where, f"orderBy{number}": question.order_by}
    answer = await graph.answer(GraphQLRequest(f"query ({', '.join(declared)}) {{ {' '.join(fields)} }}", variables))
    assert "errors" not in answer.body, answer.body
    data: Any = answer.body["data"]
    return [[found["id"] for found in data[f"l{number}"]] for number in range(len(questions))]


async def compare_all(store: SqlStore, graph: GraphQL, world: World, asked: list[Question]) -> None:
    """Put questions to the index and to the naive model."""
    await fill(store, world)
    for first in range(0, len(asked), 50):
        part = asked[first : first + 50]
        for question, found in zip(part, await ask(graph, part), strict=True):
            assert found == naive(world, question), question


def naive(world: World, question: Question) -> list[str]:
    """Answer a question by the model."""
    rows = {
        kind: {name: row for name, row in rows.items() if world.since[kind, name] <= question.block} for kind, rows in world.rows.items()
    }
    past = World(rows, world.since)
    names = [name for name in past.rows[question.kind] if fits(past, question.kind, name, question.where)]
    wanted = in_order(past, question.kind, names, question.order_by, is_descending=question.is_descending)
    return wanted[question.skip : question.skip + question.first]


def test_lists_are_what_the_conventions_say(database_url: str) -> None:
    async def all_examples() -> None:
        async with open_store(database_url, DOMAIN, 0) as store:
            await begin(store)
            graph = GraphQL(POCO, store, IndexSettings(), "test")

            @settings(max_examples=examples(4))
            @given(worlds(), st.lists(questions(), min_size=5, max_size=10))
            def one_example(world: World, asked: list[Question]) -> None:
                from_thread.run(compare_all, store, graph, world, asked)

            await to_thread.run_sync(one_example)

    anyio.run(all_examples)
