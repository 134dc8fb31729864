"""Every fraud of SPEC 18.7, committed and punished, by who holds only what it would hold; and honest bags that nobody can hurt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from eth_hash.auto import keccak

from tests.support.accounts import Signer, signer
from tests.support.bags import (
    NO_LEAF,
    NO_RESULT,
    NOTHING_THERE,
    Bag,
    Leaf,
    Words,
    honest_leaves,
    in_order,
    matched,
    post,
)
from tests.support.evm import Receipt, reverts
from tests.support.market import DIGEST, KITTY, RLC, Market, Roles, Terms

VOLUME = 5
TERMS = Terms(app_price=3 * RLC, price=10 * RLC, volume=VOLUME)
START, COST, STAKE = 1_000 * RLC, 65 * RLC, 15 * RLC
OTHER = keccak(b"another result")
CONTRADICTION, LITTLE_TRUST, WRONG_COUNT, OMISSION, UNDERPAYMENT = 1, 2, 3, 4, 5


@pytest.fixture
def deal(market: Market) -> bytes:
    """A deal of five tasks that is settled as a bag."""
    return matched(market, TERMS)


def _punished(market: Market, receipt: Receipt, deal: bytes, who: str, fraud: int, *, reward: int = STAKE // 10) -> None:
    """The payer has everything back, the stake is gone, who proved it has the reward, and the bag is over."""
    roles = market.roles
    assert market.hub_events(receipt)[-1] == ("BagSlashed", deal, who, fraud, reward)
    had = START if who in {worker.address for worker in roles.workers} else 0
    assert market.accounts(roles.requester.address, roles.scheduler.address, who, KITTY) == [
        (START, 0),
        (START - STAKE, 0),
        (had + reward, 0),
        (0, STAKE - reward),
    ]
    assert market.hub.read("viewBag", deal)[0] == 3


def _contradict(market: Market, bag: Bag, index: int, worker: str, said: bytes, *, signature: bytes = b"") -> Receipt:
    signature = signature or Words(market, bag.deal).receipt(index, worker, said)
    arguments = (bag.packed, bag.leaves[index].packed, bag.proof(index), worker, said, signature)
    return market.hub.send("proveContradiction", *arguments, by=market.roles.stranger.address)


def _distrust(market: Market, bag: Bag, index: int) -> Receipt:
    return market.hub.send("proveLittleTrust", bag.packed, bag.leaves[index].packed, bag.proof(index), by=market.roles.stranger.address)


def _recount(market: Market, bag: Bag, index: int) -> Receipt:
    before = (bag.leaves[index - 1].packed, bag.proof(index - 1)) if index else (NO_LEAF, [])
    arguments = (bag.packed, *before, bag.leaves[index].packed, bag.proof(index))
    return market.hub.send("proveWrongCount", *arguments, by=market.roles.stranger.address)


def _miss(market: Market, bag: Bag, place: int, there: tuple[Any, ...] = NOTHING_THERE) -> Receipt:
    return market.hub.send("proveOmission", bag.packed, place, there, bag.proof(place), by=market.roles.stranger.address)


def _underpaid(market: Market, bag: Bag, worker: str, amount: int, *, by: Signer | None = None) -> Receipt:
    word = Words(market, bag.deal).earned(worker, amount, by=by)
    return market.hub.send("proveUnderpayment", bag.packed, bag.payouts, worker, amount, word, by=market.roles.stranger.address)


def _changed(leaves: Sequence[Leaf], index: int, **fields: Any) -> tuple[Leaf, ...]:
    return tuple(replace(leaf, **fields) if leaf.index == index else leaf for leaf in leaves)


# --- a leaf that is not what the scheduler has signed a receipt for
def test_a_worker_that_is_left_out_of_a_leaf(market: Market, roles: Roles, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {})
    left_out = roles.workers[3].address
    receipt = _contradict(market, bag, 2, left_out, Words(market, deal).said(2))
    _punished(market, receipt, deal, left_out, CONTRADICTION)


def test_a_result_that_is_exchanged(market: Market, roles: Roles, deal: bytes) -> None:
    bag, _ = post(market, deal, _changed(honest_leaves(market, VOLUME), 4, digest=OTHER), {})
    worker = roles.workers[0].address
    _punished(market, _contradict(market, bag, 4, worker, Words(market, deal).said(4)), deal, worker, CONTRADICTION)


def test_a_dissent_that_is_exchanged(market: Market, roles: Roles, deal: bytes) -> None:
    worker = roles.workers[1].address
    leaves = _changed(honest_leaves(market, VOLUME), 0, others=((OTHER, worker),))
    bag, _ = post(market, deal, leaves, {})
    _punished(market, _contradict(market, bag, 0, worker, Words(market, deal).said(0)), deal, worker, CONTRADICTION)


def test_a_task_that_is_said_to_have_no_result(market: Market, roles: Roles, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME, missing=(1,)), {})
    worker = roles.workers[0].address
    _punished(market, _contradict(market, bag, 1, worker, Words(market, deal).said(1)), deal, worker, CONTRADICTION)


def test_what_a_leaf_says_contradicts_nobody(market: Market, roles: Roles, deal: bytes) -> None:
    dissenter = roles.workers[1].address
    leaves = _changed(honest_leaves(market, VOLUME), 3, others=((OTHER, dissenter),))
    bag, _ = post(market, deal, leaves, {})
    with reverts("no-contradiction"):
        _contradict(market, bag, 3, roles.workers[0].address, Words(market, deal).said(3))
    with reverts("no-contradiction"):
        _contradict(market, bag, 3, dissenter, OTHER)


@pytest.mark.parametrize("who", ["worker", "stranger", "other deal", "other task", "nothing"])
def test_only_the_schedulers_receipt_counts(market: Market, roles: Roles, deal: bytes, who: str) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {})
    worker, words = roles.workers[3].address, Words(market, deal)
    said = words.said(2)
    signature = {
        "worker": words.receipt(2, worker, said, by=roles.workers[3]),
        "stranger": words.receipt(2, worker, said, by=roles.stranger),
        "other deal": Words(market, b"\1" * 32).receipt(2, worker, said),
        "other task": words.receipt(1, worker, said),
        "nothing": bytes(65),
    }[who]
    with reverts("not-signed"):
        _contradict(market, bag, 2, worker, said, signature=signature)


# --- a result on which too few agree
@pytest.mark.parametrize(
    ("trust", "agreed", "others", "is_enough"),
    [
        # with every weight 2, P x trust > (1 + O + P)(trust - 1): written out by hand
        (1, 1, (), True),
        (1, 0, (), False),
        (2, 1, (), True),  # 4 > 3
        (3, 1, (), False),  # 6 > 6
        (3, 2, (), True),  # 12 > 10
        (4, 2, (), True),  # 16 > 15
        (5, 2, (), False),  # 20 > 20
        (4, 2, (1,), False),  # 16 > 21
        (2, 2, (1,), True),  # 8 > 7
        (2, 2, (1, 1), False),  # 8 > 9
        (2, 2, (2,), False),  # 8 > 9: two who say the same count 4
        (8, 3, (), True),  # 64 > 63
        (9, 3, (), False),  # 72 > 72
    ],
)
def test_trust(market: Market, roles: Roles, trust: int, agreed: int, others: tuple[int, ...], is_enough: bool) -> None:
    deal = matched(market, replace(TERMS, trust=trust))
    crowd = iter(signer(f"dissenter {number}").address for number in range(9))
    said = [(bytes([group]) * 32, sorted((next(crowd) for _ in range(size)), key=str.lower)) for group, size in enumerate(others, 1)]
    votes = tuple((digest, worker) for digest, workers in said for worker in workers)
    leaves = _changed(honest_leaves(market, VOLUME), 1, agreed=in_order(*roles.workers[:agreed]), others=votes)
    bag, _ = post(market, deal, leaves, {})
    if is_enough:
        with reverts("enough-trust"):
            _distrust(market, bag, 1)
    else:
        _punished(market, _distrust(market, bag, 1), deal, roles.stranger.address, LITTLE_TRUST)


def test_a_worker_counts_once(market: Market, roles: Roles) -> None:
    deal = matched(market, replace(TERMS, trust=4))
    worker = roles.workers[0].address
    bag, _ = post(market, deal, _changed(honest_leaves(market, VOLUME), 1, agreed=(worker, worker)), {})
    _punished(market, _distrust(market, bag, 1), deal, roles.stranger.address, LITTLE_TRUST)


@pytest.mark.parametrize("place", [4, 5])
def test_lists_that_are_not_in_order(market: Market, roles: Roles, deal: bytes, place: int) -> None:
    """A dissent that is scattered would count as many small groups, and an answer could hide somebody."""
    crowd = in_order(*roles.workers[:3])
    leaves = honest_leaves(market, VOLUME)
    wrong = {
        4: _changed(leaves, 2, agreed=crowd[::-1]),
        5: _changed(leaves, 2, others=((b"\2" * 32, crowd[0]), (b"\1" * 32, crowd[1]))),
    }[place]
    bag, _ = post(market, deal, wrong, {})
    _punished(market, _distrust(market, bag, 2), deal, roles.stranger.address, LITTLE_TRUST)


def test_a_task_without_a_result_needs_no_trust(market: Market, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME, missing=(3,)), {})
    with reverts("enough-trust"):
        _distrust(market, bag, 3)


# --- more results than there are
@pytest.mark.parametrize("index", range(VOLUME))
def test_a_count_that_jumps(market: Market, roles: Roles, deal: bytes, index: int) -> None:
    leaves = honest_leaves(market, VOLUME, missing=(index,))
    wrong = tuple(replace(leaf, done=leaf.done + (leaf.index >= index)) for leaf in leaves)
    bag, _ = post(market, deal, wrong, {}, done=VOLUME)
    _punished(market, _recount(market, bag, index), deal, roles.stranger.address, WRONG_COUNT)


def test_a_sum_that_the_leaves_do_not_have(market: Market, roles: Roles, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME, missing=(0,)), {}, done=VOLUME)
    for index in range(VOLUME - 1):
        with reverts("right-count"):
            _recount(market, bag, index)
    _punished(market, _recount(market, bag, VOLUME - 1), deal, roles.stranger.address, WRONG_COUNT)


def test_an_honest_count(market: Market, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME, missing=(0, 3)), {})
    for index in range(VOLUME):
        with reverts("right-count"):
            _recount(market, bag, index)


def test_only_neighbours_are_counted(market: Market, deal: bytes) -> None:
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {})
    arguments = (bag.packed, bag.leaves[1].packed, bag.proof(1), bag.leaves[3].packed, bag.proof(3))
    with reverts("not-neighbours"):
        market.hub.send("proveWrongCount", *arguments, by=market.roles.stranger.address)


# --- tasks that are left out
def test_a_place_where_nothing_is(market: Market, roles: Roles, deal: bytes) -> None:
    leaves = honest_leaves(market, VOLUME)
    bag, _ = post(market, deal, leaves, {}, nodes=[leaf.hash for leaf in leaves[:4]] + [bytes(32)])
    _punished(market, _miss(market, bag, 4), deal, roles.stranger.address, OMISSION)


def test_a_task_twice_instead_of_another(market: Market, roles: Roles, deal: bytes) -> None:
    leaves = honest_leaves(market, VOLUME)
    bag, _ = post(market, deal, (*leaves[:4], leaves[3]), {})
    _punished(market, _miss(market, bag, 4, leaves[3].packed), deal, roles.stranger.address, OMISSION)


def test_nothing_is_missing(market: Market, deal: bytes) -> None:
    leaves = honest_leaves(market, VOLUME)
    bag, _ = post(market, deal, leaves, {})
    with reverts("not-omitted"):
        _miss(market, bag, 4, leaves[4].packed)
    for place in range(VOLUME):
        with reverts("proof"):
            _miss(market, bag, place)
    # the places that the tree has left over are nobody's tasks
    with reverts("proof"):
        _miss(market, bag, 5)


# --- workers that are not paid
def test_a_worker_that_gets_less_than_it_was_told(market: Market, roles: Roles, deal: bytes) -> None:
    worker = roles.workers[0].address
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {worker: 10 * RLC})
    _punished(market, _underpaid(market, bag, worker, 13 * RLC), deal, worker, UNDERPAYMENT, reward=3 * RLC)


def test_a_worker_that_gets_nothing(market: Market, roles: Roles, deal: bytes) -> None:
    worker, other = roles.workers[0].address, roles.workers[1].address
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {other: 10 * RLC})
    _punished(market, _underpaid(market, bag, worker, RLC), deal, worker, UNDERPAYMENT, reward=STAKE // 10)


def test_no_more_than_the_stake(market: Market, roles: Roles, deal: bytes) -> None:
    worker = roles.workers[0].address
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {})
    _punished(market, _underpaid(market, bag, worker, 45 * RLC), deal, worker, UNDERPAYMENT, reward=STAKE)


def test_who_gets_what_it_was_told_proves_nothing(market: Market, roles: Roles, deal: bytes) -> None:
    worker = roles.workers[0].address
    bag, _ = post(market, deal, honest_leaves(market, VOLUME), {worker: 10 * RLC})
    with reverts("not-underpaid"):
        _underpaid(market, bag, worker, 10 * RLC)
    for stranger in (roles.workers[0], roles.stranger):
        with reverts("not-signed"):
            _underpaid(market, bag, worker, 11 * RLC, by=stranger)


# --- proofs that prove nothing
def test_a_leaf_of_another_place_or_tree(market: Market, deal: bytes) -> None:
    leaves = honest_leaves(market, VOLUME, missing=(2,))
    bag, _ = post(market, deal, leaves, {})
    by = market.roles.stranger.address
    wrong: list[tuple[Any, Any]] = [
        (leaves[2].packed, bag.proof(1)),
        (leaves[2].packed, bag.proof(2)[:-1]),
        (leaves[2].packed, [*bag.proof(2), bytes(32)]),
        (replace(leaves[2], done=7).packed, bag.proof(2)),
        (replace(leaves[2], location=NO_RESULT).packed, bag.proof(2)),
        (replace(leaves[2], digest=DIGEST).packed, bag.proof(2)),
    ]
    for leaf, proof in wrong:
        with reverts("proof"):
            market.hub.send("proveLittleTrust", bag.packed, leaf, proof, by=by)
    with reverts("not-in-the-deal"):
        market.hub.send("proveLittleTrust", bag.packed, replace(leaves[2], index=VOLUME).packed, bag.proof(2), by=by)


def test_nothing_is_proven_against_a_bag_that_is_over(market: Market, roles: Roles, deal: bytes) -> None:
    worker = roles.workers[0].address
    bag, _ = post(market, deal, _changed(honest_leaves(market, VOLUME), 1, agreed=()), {})
    with market.evm.anchor():
        market.evm.warp(600)
        market.hub.send("settleBag", bag.packed, bag.payouts, by=roles.stranger.address)
        with reverts("unknown-bag"):
            _distrust(market, bag, 1)
    _distrust(market, bag, 1)
    with reverts("unknown-bag"):
        _distrust(market, bag, 1)
    with reverts("unknown-bag"):
        _underpaid(market, bag, worker, RLC)


def test_frauds_are_heard_until_somebody_settles(market: Market, deal: bytes) -> None:
    """The window says when settling may begin; who waits longer gives everybody more time."""
    bag, _ = post(market, deal, _changed(honest_leaves(market, VOLUME), 1, agreed=()), {})
    market.evm.warp(10_000)
    _distrust(market, bag, 1)


def test_the_second_deal_of_a_request_counts_from_its_first_index(market: Market, roles: Roles) -> None:
    orders = market.orders(replace(TERMS, params='{"voisin_window":"000600"}', volume=8))
    orders["WorkerpoolOrder"]["volume"] = 3
    market.match_orders(market.sign(orders), by=roles.stranger.address)
    orders["WorkerpoolOrder"] |= {"salt": b"\1" * 32, "volume": 5}
    deal, _ = market.match_orders(market.sign(orders), by=roles.stranger.address)
    leaves = honest_leaves(market, 5, first=3)
    bag, _ = post(market, deal, leaves, {})
    with reverts("enough-trust"):
        market.hub.send("proveLittleTrust", bag.packed, leaves[0].packed, bag.proof(0), by=roles.stranger.address)
    with reverts("not-omitted"):
        market.hub.send("proveOmission", bag.packed, 4, leaves[4].packed, bag.proof(4), by=roles.stranger.address)
    with reverts("not-in-the-deal"):
        market.hub.send("demandLeaf", bag.packed, 2, roles.stranger.address, bytes(32), b"", by=roles.requester.address)
