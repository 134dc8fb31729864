"""Rules of release: what each form lets pass, what it holds back, and what can be no rule."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from voisin.errors import InputError
from voisin.protocol.archive import open_archive, pack_files
from voisin.protocol.data_terms import DataTerms, Review, encode_terms, read_terms
from voisin.protocol.ids import Address
from voisin.protocol.release_rules import MAX_DEPTH, MAX_FILES, MAX_WORDS, ReleaseRule, why_held

ANSWER = {"type": "object", "properties": {"rows": {"type": "integer", "minimum": 20}, "mean": {"type": "number"}}, "required": ["rows"]}
COLUMNS = {"city": {"type": "string", "enum": ["Lyon", "Paris"]}, "count": {"type": "integer", "minimum": 5}, "open": {"type": "boolean"}}
TABLE = {"columns": COLUMNS, "minRows": 1, "maxRows": 2}
NUMBERS = {"maxCount": 3, "minCount": 1, "each": {"type": "number", "minimum": 0, "maximum": 9}}


def rule_of(**file: object) -> ReleaseRule:
    return msgspec.convert({"files": [{"path": "a", "maxBytes": 200, **file}]}, ReleaseRule)


def held(rule: ReleaseRule, files: Mapping[str, bytes]) -> str:
    return why_held(rule, open_archive(pack_files(files)))


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ({}, b"\xff anything"),
        ({}, b""),
        ({"json": ANSWER}, b'{"rows": 20, "mean": -1.5e3}\n'),
        ({"json": ANSWER}, b'{"rows": 1000000}'),
        ({"json": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}}, b"[true,false]"),
        ({"json": {"type": "string", "maxLength": 3}}, '"äöü"'.encode()),
        ({"table": TABLE}, b"city,count,open\nLyon,5,true\n"),
        ({"table": TABLE}, b'open,city,count\r\nfalse,"Paris",7\r\ntrue,Lyon,12\r\n'),
        ({"numbers": NUMBERS}, b"1, 2.5\n9"),
        ({"numbers": NUMBERS}, b"0"),
    ],
)
def test_what_passes(form: dict[str, object], data: bytes) -> None:
    assert held(rule_of(**form), {"a": data}) == ""


@pytest.mark.parametrize(
    ("form", "data", "why"),
    [
        ({}, b"x" * 201, "201 bytes"),
        ({"json": ANSWER}, b'{"rows": 19}', "below 20"),
        ({"json": ANSWER}, b'{"mean": 1}', "no member 'rows'"),
        ({"json": ANSWER}, b'{"rows": 20, "name": "Ann"}', "does not name"),
        ({"json": ANSWER}, b'{"rows": 20, "rows": 30}', "not plain JSON"),
        ({"json": ANSWER}, b'{"rows": 20.0}', "no integer"),
        ({"json": ANSWER}, b'{"rows": true}', "no integer"),
        ({"json": ANSWER}, b'{"rows": "20"}', "no integer"),
        ({"json": ANSWER}, b'{"rows": 20, "mean": NaN}', "not plain JSON"),
        ({"json": ANSWER}, b'{"rows": 20, "mean": 1e999}', "out of range"),
        ({"json": ANSWER}, b'{"rows": 20, "mean": 0.' + b"1" * 40 + b"}", "not plain JSON"),
        ({"json": ANSWER}, b"[" * 199, "not plain JSON"),
        ({"json": ANSWER}, b'{"rows": 20} {"rows": 20}', "not plain JSON"),
        ({"json": ANSWER}, b"null", "no object"),
        ({"json": ANSWER}, b'\xff{"rows": 20}', "not text in UTF-8"),
        ({"json": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}}, b"[true,true,true]", "3 items"),
        ({"json": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}}, b"[0]", "no boolean"),
        ({"json": {"type": "string", "maxLength": 3}}, b'"four"', "too long"),
        ({"json": {"type": "string", "enum": ["yes"]}}, b'"no"', "does not list"),
        ({"json": {"type": "string", "enum": ["1"]}}, b"1", "no string"),
        ({"table": TABLE}, b"city,count,open\nLyon,4,true\n", "below 5"),
        ({"table": TABLE}, b"city,count,open\nBerlin,9,true\n", "does not list"),
        ({"table": TABLE}, b"city,count,open\nLyon,9,yes\n", "no truth value"),
        ({"table": TABLE}, b"city,count,open\nLyon,many,true\n", "no number"),
        ({"table": TABLE}, b"city,count,open\nLyon,9\n", "row of 2 cells"),
        ({"table": TABLE}, b"city,count,open\n\n", "row of 0 cells"),
        ({"table": TABLE}, b"city,count,open\n", "0 rows"),
        ({"table": TABLE}, b"city,count,open\n" + b"Lyon,5,true\n" * 3, "3 rows"),
        ({"table": TABLE}, b"city,count\nLyon,5\n", "exactly the columns"),
        ({"table": TABLE}, b"city,count,open,name\n", "exactly the columns"),
        ({"table": TABLE}, b"city,city,count,open\n", "exactly the columns"),
        ({"table": TABLE}, b'city,count,open\n"Lyon"x,5,true\n', "not a table"),
        ({"table": TABLE}, b"", "exactly the columns"),
        ({"numbers": NUMBERS}, b"1 2 3 4", "4 numbers"),
        ({"numbers": NUMBERS}, b" \n", "0 numbers"),
        ({"numbers": NUMBERS}, b"10", "above 9"),
        ({"numbers": NUMBERS}, b"1 Ann", "no number"),
        ({"numbers": NUMBERS}, "1\N{EM SPACE}2".encode(), "no number"),
        ({"numbers": NUMBERS}, b"1e9999", "no number"),
        ({"numbers": NUMBERS}, b"0." + b"1" * 40, "no number"),
    ],
)
def test_what_waits(form: dict[str, object], data: bytes, why: str) -> None:
    assert why in held(rule_of(**form), {"a": data})


def test_files_are_named_and_there() -> None:
    rule = msgspec.convert({"files": [{"path": "a", "maxBytes": 9}, {"path": "b/c", "maxBytes": 9, "optional": True}]}, ReleaseRule)
    assert held(rule, {"a": b""}) == held(rule, {"a": b"", "b/c": b"1"}) == held(rule, {"a": b"", ".salt": b"0x12"}) == ""
    assert held(rule, {"b/c": b""}) == "it has no file 'a'"
    assert "'stdout.txt', which the rule does not name" in held(rule, {"a": b"", "stdout.txt": b"hello"})


def nested(depth: int) -> dict[str, object]:
    return {"type": "integer"} if depth == 1 else {"type": "array", "maxItems": 1, "items": nested(depth - 1)}


def test_values_nest_as_deep_as_it_says() -> None:
    rule_of(json=nested(MAX_DEPTH))
    with pytest.raises(InputError, match="too deeply"):
        rule_of(json=nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ({"path": "../a"}, "leaves its folder"),
        ({"maxBytes": -1}, "out of range"),
        ({"maxBytes": 2**40}, "out of range"),
        ({"json": ANSWER, "numbers": NUMBERS}, "two forms"),
        ({"json": {"type": "string"}}, "any text"),
        ({"json": {"type": "array", "items": {"type": "boolean"}}}, "any list"),
        ({"json": {"type": "array", "maxItems": 1}}, "any list"),
        ({"json": {"type": "integer", "maxLength": 1}}, "maxLength says nothing"),
        ({"json": {"type": "boolean", "properties": {"a": {"type": "boolean"}}}}, "properties says nothing"),
        ({"json": {"type": "object", "required": ["a"]}}, "does not allow"),
        ({"json": {"type": "integer", "minimum": 2**60}}, "out of range"),
        ({"json": {"type": "string", "enum": [str(number) for number in range(MAX_WORDS + 1)]}}, "too many words"),
        ({"json": {"type": "integer", "pattern": "x"}}, "unknown field"),
        ({"json": {"type": "null"}}, "Invalid enum"),
        ({"json": {"type": "integer", "minimum": 0.5}}, "Expected `int"),
        ({"table": {"columns": {}, "maxRows": 1}}, "columns of numbers"),
        ({"table": {"columns": {"a": ANSWER}, "maxRows": 1}}, "columns of numbers"),
        ({"table": {**TABLE, "minRows": 3}}, "at most as many rows"),
        ({"numbers": {"maxCount": 1, "each": {"type": "boolean"}}}, "number or integer"),
        ({"numbers": {"maxCount": 1, "minCount": 2}}, "at most maxCount"),
    ],
)
def test_what_is_no_rule(file: dict[str, object], why: str) -> None:
    with pytest.raises((msgspec.ValidationError, InputError), match=why):
        rule_of(**file)


def test_a_rule_names_one_to_some_files_once() -> None:
    for names in ((), ("a", "a"), tuple(str(number) for number in range(MAX_FILES + 1))):
        with pytest.raises(InputError, match="each once"):
            msgspec.convert({"files": [{"path": name, "maxBytes": 1} for name in names]}, ReleaseRule)


def test_it_is_part_of_the_terms_that_the_owner_signs() -> None:
    terms = DataTerms(dataset=Address("0x" + "d1" * 20), review=Review.RULE, release_rule=rule_of(json=ANSWER))
    text = encode_terms(terms).decode()
    assert (
        '"release_rule":{"files":[{"json":{"properties":{"mean":{"type":"number"},"rows":{"minimum":20,"type":"integer"}},'
        '"required":["rows"],"type":"object"},"maxBytes":200,"path":"a"}]},"review":"rule"}' in text
    )
    assert read_terms(text.encode()) == terms
    assert terms.id != msgspec.structs.replace(terms, release_rule=rule_of()).id
    with pytest.raises(InputError, match="review by rule"):
        DataTerms(dataset=terms.dataset, review=Review.OWNER, release_rule=rule_of())
