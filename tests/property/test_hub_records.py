"""What a deal, a category and a result are made of comes back from the hub as it went in, at every width and length."""

from __future__ import annotations

from functools import cache

from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.market import Market, Terms, open_market
from tests.support.nights import examples
from tests.support.orders import ZERO
from tests.support.quick_evm import QuickEvm
from voisin.chain.artifacts import load_artifact

RICH = 2**126
ADDRESSES = st.one_of(st.just(ZERO), st.integers(1, 2**160 - 1).map(lambda number: f"0x{number:040x}"))
PRICES = st.integers(0, 2**80 - 1) | st.sampled_from([0, 1, 2**80 - 1])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=200)
# without the lowest bit, which demands that the app has it too
TAGS = st.integers(0, 2**255 - 1).map(lambda number: (2 * number).to_bytes(32, "big"))
COMMON = {
    "trust": st.integers(0, 2**56 - 1),
    "category": st.integers(0, 4),
    "tag": TAGS,
    "callback": ADDRESSES,
    "beneficiary": ADDRESSES,
    "params": TEXTS,
}
PAID = st.builds(
    Terms, app_price=PRICES, dataset_price=PRICES, price=PRICES, volume=st.integers(1, 1000), with_dataset=st.just(True), **COMMON
)
WITHOUT_DATASET = st.builds(Terms, app_price=PRICES, price=PRICES, volume=st.integers(1, 1000), **COMMON)
LARGE = st.builds(Terms, app_price=st.just(0), price=st.just(0), volume=st.integers(2**39, 2**40 - 1), **COMMON)


@cache
def _market() -> Market:
    """A market whose requester, sponsor and scheduler can pay any price."""
    market = open_market(QuickEvm())
    slot = load_artifact("Hub").layout["accounts"].slot
    for account in (market.roles.requester, market.roles.sponsor, market.roles.scheduler):
        market.evm.set_mapping(market.hub.address, slot, account.address, RICH)
    return market


@settings(max_examples=examples(20), deadline=None)
@given(terms=PAID | WITHOUT_DATASET | LARGE, is_sponsored=st.booleans(), policy=st.tuples(st.integers(0, 255), st.integers(0, 100)))
def test_a_deal(terms: Terms, is_sponsored: bool, policy: tuple[int, int]) -> None:
    """Every field is as in the orders; the size or flag of one does not show in another."""
    market = _market()
    roles = market.roles
    payer, function = (roles.sponsor, "sponsorMatchOrders") if is_sponsored else (roles.requester, "matchOrders")
    with market.evm.anchor():
        market.workerpool_contract.send("changePolicy", *policy, by=roles.scheduler.address)
        deal, _ = market.match_orders(market.sign(market.orders(terms)), by=payer.address, function=function)
        found = market.hub.read("viewDeal", deal)
    dataset = (market.dataset, roles.dataset_owner.address, terms.dataset_price) if terms.with_dataset else (ZERO, ZERO, 0)
    assert found[:3] == (
        (market.app, roles.app_owner.address, terms.app_price),
        dataset,
        (market.workerpool, roles.scheduler.address, terms.price),
    )
    assert found[3:7] == (max(terms.trust, 1), terms.category, terms.tag, roles.requester.address)
    assert [address.lower() for address in found[7:9]] == [terms.beneficiary, terms.callback]
    assert found[9:13] == (terms.params, market.evm.time, 0, terms.volume)
    assert found[13:] == (terms.price * policy[0] // 100, policy[1], payer.address)


@settings(max_examples=examples(8), deadline=None)
@given(name=TEXTS.filter(lambda text: len(text.encode()) <= 256), description=TEXTS, time_ref=st.integers(0, 2**36))
def test_a_category(name: str, description: str, time_ref: int) -> None:
    """Texts of every length, and none in the place of the other."""
    market, owner = _market(), _market().roles.owner.address
    with market.evm.anchor():
        for texts in ((name, description), ("", ""), (description[:60], name)):
            receipt = market.hub.send("createCategory", *texts, time_ref, by=owner)
            catid = market.hub.answer("createCategory", receipt.output)[0]
            assert market.hub.read("viewCategory", catid) == (*texts, time_ref)
        assert market.hub.read("countCategory") == 8


@settings(max_examples=examples(8), deadline=None)
@given(results=st.binary(max_size=300), value=st.binary(max_size=300))
def test_results(results: bytes, value: bytes) -> None:
    """Results and the pushed value of a task."""
    market, worker = _market(), _market().roles.workers[0]
    with market.evm.anchor():
        task = market.initialize(market.match(Terms(price=0, app_price=0))[0])
        market.contribute(task, worker, keccak(value))
        market.reveal(task, worker, keccak(value))
        market.finalize(task, results, value)
        state = market.hub.read("viewTask", task)
        assert (state[11], state[12], state[14]) == (keccak(value), results, value)
        assert market.hub.read("resultFor", task) == value
