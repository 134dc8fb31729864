"""What `matchOrdersBoost` refuses, in which order and with which words. Source: poco-protocol.md 15."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.compiled import deploy_double
from tests.support.evm import reverts
from tests.support.market import Market, Terms
from tests.support.orders import TEE_TAG

GPU = (0x100).to_bytes(32, "big")
ELSEWHERE = "0x" + "ee" * 20
Orders = dict[str, dict[str, Any]]
Change = Callable[[Orders], None]


def _set(kind: str, **values: Any) -> Change:
    return lambda orders: orders[kind].update(values)


# every later fault is put in before the earlier one is looked for, so that the order shows
FAULTS: list[tuple[str, Change]] = [
    ("Bad trust level", _set("RequestOrder", trust=2)),
    ("Category mismatch", _set("WorkerpoolOrder", category=1)),
    ("Unknown category", lambda orders: [orders[kind].update(category=5) for kind in ("WorkerpoolOrder", "RequestOrder")] and None),
    ("Overpriced app", _set("RequestOrder", appmaxprice=0)),
    ("Overpriced dataset", _set("DatasetOrder", datasetprice=5)),
    ("Overpriced workerpool", _set("RequestOrder", workerpoolmaxprice=0)),
    ("Workerpool tag does not match demand", _set("RequestOrder", tag=GPU)),
    ("App tag does not match demand", lambda o: (o["RequestOrder"].update(tag=TEE_TAG), o["WorkerpoolOrder"].update(tag=TEE_TAG)) and None),
    ("App mismatch", _set("RequestOrder", app=ELSEWHERE)),
    ("Dataset mismatch", _set("RequestOrder", dataset=ELSEWHERE)),
    ("Workerpool restricted by request order", _set("RequestOrder", workerpool=ELSEWHERE)),
    ("Dataset restricted by app order", _set("AppOrder", datasetrestrict=ELSEWHERE)),
    ("Workerpool restricted by app order", _set("AppOrder", workerpoolrestrict=ELSEWHERE)),
    ("Requester restricted by app order", _set("AppOrder", requesterrestrict=ELSEWHERE)),
    ("App restricted by dataset order", _set("DatasetOrder", apprestrict=ELSEWHERE)),
    ("Workerpool restricted by dataset order", _set("DatasetOrder", workerpoolrestrict=ELSEWHERE)),
    ("Requester restricted by dataset order", _set("DatasetOrder", requesterrestrict=ELSEWHERE)),
    ("App restricted by workerpool order", _set("WorkerpoolOrder", apprestrict=ELSEWHERE)),
    ("Dataset restricted by workerpool order", _set("WorkerpoolOrder", datasetrestrict=ELSEWHERE)),
    ("Requester restricted by workerpool order", _set("WorkerpoolOrder", requesterrestrict=ELSEWHERE)),
]
COMPATIBLE = {"Unknown category": {"Category mismatch"}, "App tag does not match demand": {"Workerpool tag does not match demand"}}


def _match(market: Market, orders: Orders) -> None:
    market.match_orders(orders, by=market.roles.stranger.address, function="matchOrdersBoost")


@pytest.mark.parametrize("place", range(len(FAULTS)), ids=[words for words, _ in FAULTS])
def test_terms(market: Market, place: int) -> None:
    """The fault is found, and the next one in the list is not what is said of it."""
    words, change = FAULTS[place]
    orders = market.orders(Terms(with_dataset=True))
    following = FAULTS[place + 1 : place + 2]
    for other, later in following:
        if words not in COMPATIBLE.get(other, set()):
            later(orders)
    change(orders)
    with reverts(f"PocoBoost: {words}"):
        _match(market, orders)


@pytest.mark.parametrize("kind", ["App", "Dataset", "Workerpool"])
def test_entries_must_be_registered(market: Market, kind: str) -> None:
    """Asked before the owner: an account without code is refused with the same words as somebody else's contract."""
    double = deploy_double(market.evm, "FixedOwner", market.roles.stranger.address, ("address", market.owners()[f"{kind}Order"].address))
    for unknown in (ELSEWHERE, double):
        orders = market.orders(Terms(with_dataset=True))
        field = kind.lower()
        orders[f"{kind}Order"][field] = orders["RequestOrder"][field] = unknown
        with reverts(f"PocoBoost: {kind} not registered"):
            _match(market, market.sign(orders))


@pytest.mark.parametrize("kind", ["App", "Dataset", "Workerpool", "Request"])
def test_everybody_must_have_signed(market: Market, kind: str) -> None:
    orders = market.sign(market.orders(Terms(with_dataset=True)))
    orders[f"{kind}Order"]["sign"] = market.roles.stranger.sign(bytes(32))
    with reverts(f"PocoBoost: Invalid {kind.lower()} order signature"):
        _match(market, orders)
    orders[f"{kind}Order"]["sign"] = b"\x01"
    with reverts("invalid-signature-format"):
        _match(market, orders)


def test_the_kind_of_enclave_is_part_of_the_demand(market: Market) -> None:
    """Unlike in other deals, a workerpool has to repeat what a dataset's tag says of the enclave."""
    orders = market.orders(Terms(with_dataset=True, tag=TEE_TAG))
    orders["DatasetOrder"]["tag"] = (3).to_bytes(32, "big")
    with reverts("PocoBoost: Workerpool tag does not match demand"):
        _match(market, market.sign(orders))
    orders["WorkerpoolOrder"]["tag"] = (3).to_bytes(32, "big")
    _match(market, market.sign(orders))


def test_the_trust_that_a_workerpool_offers_does_not_matter(market: Market) -> None:
    orders = market.orders(Terms(trust=1))
    orders["WorkerpoolOrder"]["trust"] = 0
    _match(market, market.sign(orders))
