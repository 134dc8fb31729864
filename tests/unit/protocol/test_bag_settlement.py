"""What is signed and hashed for a bag, against the second writing of the tests; windows and trust, by tables."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_hash.auto import keccak

from tests.support import bags as second
from tests.support.accounts import signer
from tests.support.market import Market, Roles
from voisin.errors import InputError
from voisin.protocol.bag_settlement import (
    Dissent,
    Leaf,
    PostedBag,
    bag_hash,
    contribution_digest,
    dissents_in_order,
    earned_digest,
    in_order,
    is_trusted,
    leaf_hash,
    pack_payouts,
    receipt_digest,
    said_of,
    spell_window,
    tree_of,
    window_of,
)
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import ZERO_ADDRESS, ZERO_HASH, Address, DealId, Hash32, to_hex
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.signatures import recover_signer
from voisin.protocol.tags import NO_TAG, as_tag
from voisin.units import NRLC, UnixSeconds

HUB = "0x" + "11" * 20
DEAL = keccak(b"a deal")
NAME = DealId(Hash32(to_hex(DEAL)))
WORKERS = tuple(Address(signer(f"worker {number}").address) for number in range(4))
DIGEST = keccak(b"a result")
DOMAIN = Domain(chain_id=31337, hub=Address(HUB))


def _hex(data: bytes) -> Hash32:
    return Hash32(to_hex(data))


def _words() -> second.Words:
    market = SimpleNamespace(roles=Roles(), hub=SimpleNamespace(address=HUB))
    return second.Words(cast(Market, market), DEAL)


def test_signed_words() -> None:
    words, roles = _words(), Roles()
    scheduler, worker = Address(roles.scheduler.address), roles.workers[0]
    said = words.said(7, DIGEST)
    signed = [
        (contribution_digest(DOMAIN, NAME, 7, _hex(said)), words.contribution(7, worker, said), worker.address),
        (receipt_digest(DOMAIN, NAME, 7, worker=WORKERS[1], said=_hex(said)), words.receipt(7, WORKERS[1], said), scheduler),
        (earned_digest(DOMAIN, NAME, WORKERS[2], NRLC(2**100)), words.earned(WORKERS[2], 2**100), scheduler),
    ]
    for digest, signature, author in signed:
        assert recover_signer(digest, to_hex(signature)) == author


def _leaf(**changes: Any) -> Leaf:
    others = dissents_in_order([Dissent(_hex(keccak(b"wrong")), WORKERS[3]), Dissent(_hex(keccak(b"worse")), WORKERS[2])])
    fields = {"index": 7, "digest": _hex(DIGEST), "location": _hex(keccak(b"there")), "done": 5, "agreed": in_order(WORKERS[:2])}
    return Leaf(**{**fields, "others": others, **changes})


def _second(leaf: Leaf) -> second.Leaf:
    others = tuple((bytes.fromhex(vote.result_hash[2:]), str(vote.worker)) for vote in leaf.others)
    digest, location = bytes.fromhex(leaf.digest[2:]), bytes.fromhex(leaf.location[2:])
    return second.Leaf(leaf.index, digest, leaf.done, tuple(map(str, leaf.agreed)), others, location)


@pytest.mark.parametrize("changes", [{}, {"agreed": ()}, {"others": ()}, {"digest": ZERO_HASH, "agreed": (), "others": ()}])
def test_leaves(changes: dict[str, Any]) -> None:
    leaf = _leaf(**changes)
    assert leaf_hash(leaf) == _second(leaf).hash


def test_a_bag_as_the_hub_knows_it() -> None:
    leaves = [_leaf(index=index, done=index + 1) for index in range(5)]
    amounts = {worker: NRLC(place * 10**9) for place, worker in enumerate(WORKERS)}
    payouts = pack_payouts(amounts)
    assert payouts == second.payouts_of({str(worker): int(amount) for worker, amount in amounts.items()})
    tree = tree_of(leaves)
    assert tree.root == second.root_of([_second(leaf).hash for leaf in leaves])
    bag = PostedBag(NAME, _hex(tree.root), _hex(keccak(b"file")), payouts, 5, UnixSeconds(1_000), UnixSeconds(1_600))
    words = [DEAL, tree.root, keccak(b"file"), keccak(payouts), *(number.to_bytes(32, "big") for number in (5, 1_000, 1_600))]
    assert bag_hash(bag) == keccak(b"".join(words))


def test_what_a_leaf_says_of_whom() -> None:
    leaf = _leaf()
    assert said_of(leaf, NAME, WORKERS[0]) == _hex(_words().said(7, DIGEST))
    assert said_of(leaf, NAME, WORKERS[3]) == _hex(keccak(b"wrong"))
    assert said_of(leaf, NAME, Address(HUB)) is None


@pytest.mark.parametrize(
    ("agreed", "others", "trust", "is_enough"),
    [(1, [], 1, True), (0, [], 1, False), (1, [], 2, True), (1, [], 3, False), (2, [], 4, True), (2, [], 5, False), (2, ["a"], 4, False)],
)
def test_trust(agreed: int, others: list[str], trust: int, is_enough: bool) -> None:
    votes = tuple(Dissent(_hex(keccak(said.encode())), WORKERS[3]) for said in others)
    assert is_trusted(_leaf(agreed=in_order(WORKERS[:agreed]), others=votes), trust) is is_enough


def test_lists_out_of_order_are_not_trusted_and_tasks_without_a_result_need_no_trust() -> None:
    leaf = _leaf()
    assert not is_trusted(_leaf(agreed=leaf.agreed[::-1]), 1)
    assert not is_trusted(_leaf(agreed=leaf.agreed[:1] * 2), 1)
    assert not is_trusted(_leaf(agreed=(ZERO_ADDRESS, *leaf.agreed)), 1)
    assert not is_trusted(_leaf(others=leaf.others[::-1]), 1)
    assert is_trusted(_leaf(digest=ZERO_HASH, agreed=()), 9)


def test_the_window_comes_first_and_is_read_back() -> None:
    params = encode_params(DealParams(voisin_window=spell_window(600), iexec_args="--frames 3", voisin_bag="cid"))
    assert params.startswith('{"voisin_window":"000600",')
    assert window_of(params, NO_TAG) == 600


@pytest.mark.parametrize(
    "params",
    [
        "",
        "x",
        "{}",
        '{"iexec_args":"","voisin_window":"000600"}',
        '{"voisin_window":600}',
        ' {"voisin_window":"000600"}',
        '{"voisin_window":"00060',
    ],
)
def test_other_deals_have_no_window(params: str) -> None:
    assert window_of(params, NO_TAG) is None


def test_a_deal_in_enclaves_has_none() -> None:
    assert window_of('{"voisin_window":"000600"}', as_tag("tee")) is None


@pytest.mark.parametrize("digits", ["00600x", "\n00600", "      ", "٠٠٠٦٠٠", "ééé"])
def test_a_window_that_nobody_can_read(digits: str) -> None:
    with pytest.raises(InputError, match="no number of six digits"):
        window_of(f'{{"voisin_window":"{digits}"}}', NO_TAG)


@pytest.mark.parametrize("window_s", [-1, 10**6])
def test_windows_that_cannot_be(window_s: int) -> None:
    with pytest.raises(InputError, match="is not possible"):
        spell_window(window_s)


def test_too_many_workers_for_one_list() -> None:
    amounts = {Address(signer(f"crowd {number}").address): NRLC(1) for number in range(129)}
    with pytest.raises(InputError, match="at most 128 workers"):
        pack_payouts(amounts)
