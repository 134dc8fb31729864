"""What `matchOrders` and `sponsorMatchOrders` do: the deal, the money, the events, the volumes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.evm import reverts
from tests.support.market import RLC, Market, Roles, Terms
from tests.support.orders import TEE_TAG, ZERO, deal_id

PLAIN = Terms(app_price=3 * RLC, price=10 * RLC, volume=2, trust=4, category=1)


def test_a_deal_without_dataset(market: Market, roles: Roles) -> None:
    requester, scheduler, hub = roles.requester.address, roles.scheduler.address, market.hub.address
    orders = market.sign(market.orders(PLAIN))
    hashes = {kind: market.hash(kind, order) for kind, order in orders.items()}
    expected = deal_id(hashes["RequestOrder"], 0)

    deal, receipt = market.match_orders(orders, by=roles.stranger.address)

    assert deal == expected
    assert market.hub_events(receipt) == [
        ("Transfer", requester, hub, 26 * RLC),
        ("Lock", requester, 26 * RLC),
        ("Transfer", scheduler, hub, 6 * RLC),
        ("Lock", scheduler, 6 * RLC),
        ("SchedulerNotice", market.workerpool, deal),
        ("OrdersMatched", deal, hashes["AppOrder"], bytes(32), hashes["WorkerpoolOrder"], hashes["RequestOrder"], 2),
    ]
    assert market.hub.read("viewDeal", deal) == (
        (market.app, roles.app_owner.address, 3 * RLC),
        (ZERO, ZERO, 0),
        (market.workerpool, scheduler, 10 * RLC),
        4,  # trust
        1,  # category
        bytes(32),
        requester,
        requester,  # beneficiary
        ZERO,  # callback
        "",
        market.evm.time,
        0,  # first index
        2,  # volume
        3 * RLC,  # worker's stake
        1,  # scheduler's ratio
        requester,  # sponsor
    )
    assert market.accounts(requester, scheduler, hub) == [(974 * RLC, 26 * RLC), (994 * RLC, 6 * RLC), (32 * RLC, 0)]
    assert [market.hub.read("viewConsumed", hashes[kind]) for kind in ("AppOrder", "WorkerpoolOrder", "RequestOrder")] == [2, 2, 2]


def test_a_deal_with_everything(market: Market, roles: Roles) -> None:
    consumer, beneficiary = roles.workers[4].address, roles.workers[3].address
    params = '{"iexec_args":"' + "é" * 300 + '"}'
    terms = Terms(
        dataset_price=2 * RLC,
        with_dataset=True,
        tag=(0x103).to_bytes(32, "big"),
        callback=consumer,
        beneficiary=beneficiary,
        params=params,
        volume=3,
        category=4,
        trust=0,
    )
    market.workerpool_contract.send("changePolicy", 35, 5, by=roles.scheduler.address)
    orders = market.sign(market.orders(terms))

    deal, receipt = market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")

    assert market.hub_events(receipt)[0] == ("Transfer", roles.sponsor.address, market.hub.address, 45 * RLC)
    assert market.hub_events(receipt)[-2][3] == market.hash("DatasetOrder", orders["DatasetOrder"])
    assert market.hub_events(receipt)[-1] == ("DealSponsored", deal, roles.sponsor.address)
    assert market.hub.read("viewDeal", deal) == (
        (market.app, roles.app_owner.address, 3 * RLC),
        (market.dataset, roles.dataset_owner.address, 2 * RLC),
        (market.workerpool, roles.scheduler.address, 10 * RLC),
        1,
        4,
        (0x103).to_bytes(32, "big"),
        roles.requester.address,
        beneficiary,
        consumer,
        params,
        market.evm.time,
        0,
        3,
        35 * RLC // 10,
        5,
        roles.sponsor.address,
    )
    assert market.hub.read("viewConsumed", market.hash("DatasetOrder", orders["DatasetOrder"])) == 3


def test_sponsoring_spares_the_requester(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(PLAIN))
    market.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    assert market.accounts(roles.requester.address, roles.sponsor.address) == [(1000 * RLC, 0), (974 * RLC, 26 * RLC)]


def test_a_requester_may_sponsor_itself(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(PLAIN))
    deal, receipt = market.match_orders(orders, by=roles.requester.address, function="sponsorMatchOrders")
    assert market.hub_events(receipt)[-1] == ("DealSponsored", deal, roles.requester.address)
    assert market.hub.read("viewDeal", deal)[15] == roles.requester.address


def test_a_sponsor_without_money_is_refused(market: Market, roles: Roles) -> None:
    orders = market.sign(market.orders(PLAIN))
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        market.match_orders(orders, by=roles.stranger.address, function="sponsorMatchOrders")


def test_an_empty_beneficiary_stays_empty(market: Market) -> None:
    deal, _ = market.match(replace(PLAIN, beneficiary=ZERO))
    assert market.hub.read("viewDeal", deal)[7] == ZERO


def test_the_stake_of_the_scheduler_is_rounded_down_per_task(market: Market, roles: Roles) -> None:
    """floor(9 x 30 / 100) x 5 = 10, not floor(9 x 5 x 30 / 100) = 13."""
    market.match(Terms(app_price=0, price=9, volume=5))
    assert market.accounts(roles.scheduler.address) == [(1000 * RLC - 10, 10)]


def test_free_work_makes_events_of_zero(market: Market, roles: Roles) -> None:
    deal, receipt = market.match(Terms(app_price=0, price=0))
    requester, scheduler, hub = roles.requester.address, roles.scheduler.address, market.hub.address
    assert market.hub_events(receipt)[:4] == [
        ("Transfer", requester, hub, 0),
        ("Lock", requester, 0),
        ("Transfer", scheduler, hub, 0),
        ("Lock", scheduler, 0),
    ]
    assert market.hub.read("viewDeal", deal)[13] == 0


@pytest.mark.parametrize(
    ("app_tag", "dataset_tag", "request_tag", "kept"),
    [
        (0x0, 0xE, 0x0, 0x0),  # frameworks of the dataset are nobody's business
        (0x1, 0xF, 0x0, 0x1),
        (0x3, 0x5, 0x100, 0x103),
        (0x9, 0x0, 0x1, 0x9),
    ],
)
def test_the_tag_of_a_deal(market: Market, app_tag: int, dataset_tag: int, request_tag: int, kept: int) -> None:
    orders = market.orders(replace(PLAIN, with_dataset=True))
    orders["AppOrder"]["tag"] = app_tag.to_bytes(32, "big")
    orders["DatasetOrder"]["tag"] = dataset_tag.to_bytes(32, "big")
    orders["RequestOrder"]["tag"] = request_tag.to_bytes(32, "big")
    orders["WorkerpoolOrder"]["tag"] = kept.to_bytes(32, "big")
    deal, _ = market.match_orders(market.sign(orders), by=market.roles.stranger.address)
    assert market.hub.read("viewDeal", deal)[5] == kept.to_bytes(32, "big")


def test_a_request_is_split_over_deals_that_go_on_where_the_last_ended(market: Market, roles: Roles) -> None:
    """One request of 5 tasks, workerpool orders of 2, 2 and 7: deals of 2, 2 and 1 tasks with first index 0, 2, 4."""
    found = []
    for volume, salt in ((2, b"\x01"), (2, b"\x02"), (7, b"\x03")):
        orders = market.orders(replace(PLAIN, volume=5))
        orders["WorkerpoolOrder"].update(volume=volume, salt=salt * 32)
        signed = market.sign(orders)
        consumed = market.hub.read("viewConsumed", market.hash("RequestOrder", signed["RequestOrder"]))
        size = market.hub.read("computeDealVolume", *(tuple(order.values()) for order in signed.values()))
        deal, _ = market.match_orders(signed, by=roles.stranger.address)
        assert deal == deal_id(market.hash("RequestOrder", signed["RequestOrder"]), consumed)
        found.append((size, *market.hub.read("viewDeal", deal)[11:13]))
    assert found == [(2, 0, 2), (2, 2, 2), (1, 4, 1)]
    with reverts("iExecV5-matchOrders-0x60"):
        market.match_orders(signed, by=roles.stranger.address)


def test_the_smallest_order_sets_the_volume(market: Market) -> None:
    orders = market.orders(replace(PLAIN, with_dataset=True))
    volumes = {"AppOrder": 9, "DatasetOrder": 8, "WorkerpoolOrder": 7, "RequestOrder": 6}
    for smallest in volumes:
        for kind, volume in volumes.items():
            orders[kind]["volume"] = 3 if kind == smallest else volume
        assert market.hub.read("computeDealVolume", *(tuple(order.values()) for order in orders.values())) == 3


def test_the_volume_of_an_order_that_is_none_does_not_count(market: Market) -> None:
    orders = market.orders(replace(PLAIN, volume=4))
    assert orders["DatasetOrder"]["volume"] == 0
    assert market.hub.read("computeDealVolume", *(tuple(order.values()) for order in orders.values())) == 4


def test_owners_are_those_at_the_time_of_the_match(market: Market, roles: Roles) -> None:
    deal, _ = market.match(PLAIN)
    token = int(market.workerpool, 16)
    market.workerpool_registry.send("transferFrom", roles.scheduler.address, roles.stranger.address, token, by=roles.scheduler.address)
    assert market.hub.read("viewDeal", deal)[2][1] == roles.scheduler.address
    with reverts("iExecV5-matchOrders-0x41"):
        market.match(replace(PLAIN, salt=b"\x01" * 32))


def test_a_tee_deal_keeps_its_tag(market: Market) -> None:
    deal, _ = market.match(replace(PLAIN, tag=TEE_TAG))
    assert market.hub.read("viewDeal", deal)[5] == TEE_TAG


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 111, 4095, 4096])
def test_params_of_every_length_come_back(market: Market, size: int) -> None:
    params = "".join(chr(33 + place % 90) for place in range(size))
    deal, _ = market.match(replace(PLAIN, params=params))
    assert market.hub.read("viewDeal", deal)[9] == params
    assert market.hub.read("viewDealABILegacy_pt2", deal)[5] == params


def test_params_beyond_the_bound_revert_empty(market: Market) -> None:
    with reverts():
        market.match(replace(PLAIN, params="x" * 4097))


def test_values_that_do_not_fit_a_deal(market: Market, roles: Roles) -> None:
    """SPEC 3.2: such deals could never be paid with RLC, or run."""
    free = Terms(app_price=0, price=0)
    for terms in (replace(free, volume=2**40), replace(free, trust=2**56)):
        with reverts("deal-out-of-range"):
            market.match(terms)
    market.match(replace(free, volume=2**40 - 1, salt=b"\x01" * 32))
    market.match(replace(free, trust=2**56 - 1, salt=b"\x02" * 32))
    market.workerpool_contract.send("changePolicy", 2**80, 0, by=roles.scheduler.address)
    with reverts("deal-out-of-range"):
        market.match(Terms(price=10 * RLC, salt=b"\x03" * 32))


def test_prices_beyond_the_width_are_refused_by_the_escrow_first(market: Market) -> None:
    with reverts("IexecEscrow: Transfer amount exceeds balance"):
        market.match(Terms(app_price=2**80))
