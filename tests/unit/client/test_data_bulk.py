"""Lists of datasets: how they are cut and checked, and which conditions let data be one of many."""

from __future__ import annotations

from typing import cast

import pytest

from voisin.client.data.conditions import DataConditions, read_conditions
from voisin.client.data.lists import cut_lists, read_lists
from voisin.client.data.offering import Gates, make_order, make_terms
from voisin.client.terms import read_terms
from voisin.errors import InputError
from voisin.protocol.ids import Address, Hash32, as_address
from voisin.protocol.sessions import MAX_BULK, MIN_BULK_VOLUME
from voisin.protocol.tags import needs_enclave
from voisin.units import UnixSeconds

DATA = [as_address(f"0x{number:040x}") for number in range(1, MAX_BULK + 3)]


def test_lists_are_cut_and_a_name_counts_once() -> None:
    assert cut_lists([*DATA[:5], DATA[0].lower()], 2) == [tuple(DATA[:2]), tuple(DATA[2:4]), tuple(DATA[4:5])]


@pytest.mark.parametrize(
    ("named", "per_task", "why"), [([], 1, "no dataset"), (DATA, 0, "1 to"), (DATA, MAX_BULK + 1, "1 to"), (["0x1"], 1, "address")]
)
def test_what_cannot_be_cut(named: list[str], per_task: int, why: str) -> None:
    with pytest.raises(InputError, match=why):
        cut_lists(named, per_task)


@pytest.mark.parametrize(("lists", "why"), [([[]], "opens 1 to"), ([DATA], "opens 1 to"), ([[DATA[0], DATA[0]]], "twice")])
def test_what_are_no_lists(lists: list[list[str]], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_lists(lists)


def test_a_run_over_lists_asks_for_an_enclave() -> None:
    terms = read_terms({"bulk": [DATA[:2]], "purpose": "research"})
    assert (terms.bulk, needs_enclave(terms.tag)) == ((tuple(DATA[:2]),), True)
    with pytest.raises(InputError, match="one dataset, or several"):
        read_terms({"bulk": [DATA[:2]], "dataset": DATA[0]})


def test_data_for_lists_costs_nothing_and_is_not_counted() -> None:
    found = read_conditions({"bulk": True, "purposes": ["research"]}, now=UnixSeconds(1))
    terms = make_terms(found, Address(DATA[0]), apps=(), gates=Gates(), schema=None, nonce=Hash32("0x" + "01" * 32))
    order = make_order(found, terms, apps=(), gates=Gates())
    assert (order.datasetprice, order.volume >= MIN_BULK_VOLUME, terms.uses) == (0, True, 0)


@pytest.mark.parametrize(
    "beside", [{"price": 1}, {"uses": 5}, {"uses_per_renter": 1}, {"review": "owner"}, {"epsilon": 1, "epsilon_per_renter": 2}], ids=str
)
def test_what_does_not_go_with_it(beside: dict[str, object]) -> None:
    with pytest.raises(InputError, match="with others in one deal"):
        read_conditions(cast(DataConditions, {"bulk": True, **beside}), now=UnixSeconds(1))
