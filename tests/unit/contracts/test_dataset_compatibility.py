"""May a deal without dataset open this dataset (`assertDatasetDealCompatibility`): the first reason why not is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.support.compiled import deploy_double
from tests.support.contracts import error_data
from tests.support.evm import reverts
from tests.support.market import Market, Roles, Terms
from tests.support.orders import CLOSE, SIGN, as_tuple

TERMS = Terms(tag=(0x101).to_bytes(32, "big"))


@pytest.fixture
def deal(market: Market) -> bytes:
    """A deal with tags 0x101 and no dataset."""
    return market.match(TERMS)[0]


def _order(market: Market, **changes: Any) -> dict[str, Any]:
    values = market.orders(Terms(with_dataset=True))["DatasetOrder"] | changes
    return values | {"sign": market.roles.dataset_owner.sign(market.hash("DatasetOrder", values))}


def _ask(market: Market, order: dict[str, Any], deal: bytes) -> None:
    market.hub.read("assertDatasetDealCompatibility", as_tuple(order), deal)


def _refusal(reason: str) -> bytes:
    return error_data("Hub", "IncompatibleDatasetOrder", reason)


def test_what_fits(market: Market, roles: Roles, deal: bytes) -> None:
    group = deploy_double(market.evm, "Group", roles.stranger.address, ("address", market.app))
    for changes in (
        {},
        {"apprestrict": market.app},
        {"apprestrict": group},
        {"workerpoolrestrict": market.workerpool},
        {"requesterrestrict": roles.requester.address},
        {"datasetprice": 2**200},  # nor is the price
        {"volume": 2**256 - 1},
    ):
        _ask(market, _order(market, **changes), deal)


def test_kinds_of_enclave_are_nobodys_business(market: Market, deal: bytes) -> None:
    _ask(market, _order(market, tag=(0x10F).to_bytes(32, "big")), deal)


def test_it_uses_nothing_up(market: Market, deal: bytes) -> None:
    order = _order(market)
    for _ in range(3):
        _ask(market, order, deal)
    assert market.hub.read("viewConsumed", market.hash("DatasetOrder", order)) == 0


def test_restrictions_and_tags(market: Market, roles: Roles, deal: bytes) -> None:
    for field, reason in (
        ("apprestrict", "App restriction not satisfied"),
        ("workerpoolrestrict", "Workerpool restriction not satisfied"),
        ("requesterrestrict", "Requester restriction not satisfied"),
    ):
        with reverts(data=_refusal(reason)):
            _ask(market, _order(market, **{field: roles.stranger.address}), deal)
    with reverts(data=_refusal("Tag compatibility not satisfied")):
        _ask(market, _order(market, tag=(0x200).to_bytes(32, "big")), deal)


def test_deals(market: Market, roles: Roles, deal: bytes) -> None:
    other, _ = market.match(replace(TERMS, with_dataset=True, salt=b"\x01" * 32))
    with reverts(data=_refusal("Deal not found")):
        _ask(market, _order(market), bytes(32))
    with reverts(data=_refusal("Deal already has a dataset")):
        _ask(market, _order(market), other)


def test_orders(market: Market, roles: Roles, deal: bytes) -> None:
    order = _order(market)
    with reverts(data=_refusal("Invalid dataset order signature")):
        _ask(market, order | {"sign": roles.stranger.sign(market.hash("DatasetOrder", order))}, deal)
    with reverts("invalid-signature-format"):
        _ask(market, order | {"sign": b""}, deal)
    market.hub.send("manageDatasetOrder", (as_tuple(order), SIGN, b""), by=roles.dataset_owner.address)
    _ask(market, order | {"sign": b""}, deal)
    market.hub.send("manageDatasetOrder", (as_tuple(order), CLOSE, b""), by=roles.dataset_owner.address)
    with reverts(data=_refusal("Dataset order is revoked or fully consumed")):
        _ask(market, order, deal)


def test_the_first_reason_wins(market: Market, roles: Roles, deal: bytes) -> None:
    stranger = roles.stranger.address
    order = _order(market, volume=0, apprestrict=stranger, workerpoolrestrict=stranger, requesterrestrict=stranger, tag=b"\xff" * 32)
    with reverts(data=_refusal("Dataset order is revoked or fully consumed")):
        _ask(market, order, bytes(32))


def test_a_dataset_without_code_reverts_empty(market: Market, roles: Roles, deal: bytes) -> None:
    with reverts():
        _ask(market, _order(market, dataset=roles.stranger.address), deal)
