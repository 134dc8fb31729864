"""
One scenario and its variants on both hubs at once: the same events in the same order, ids, order hashes, balances and reasons.

The twin compares every transaction and every view; what is asserted here besides is that the scenario got where it should.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.support.accounts import Signer
from tests.support.compiled import deploy_double, encode_call
from tests.support.evm import RevertedError
from tests.support.market import DIGEST, KITTY, RLC, Market, Roles, Terms, furnish
from tests.support.npm import requires_npm
from tests.support.orders import CLOSE, SIGN, TEE_TAG, ZERO, as_tuple, operation_hash, order_hash, result_hash, result_seal, task_id
from tests.support.original import PACKAGES
from tests.support.twin import twin_market

BAD = keccak(b"a wrong result")
VALUE = b"the right result"
TERMS = Terms(app_price=3 * RLC, price=10 * RLC, trust=4, volume=2, category=1)


@pytest.fixture(scope="session", params=["original", "ours"])
def opened_twin(request: pytest.FixtureRequest) -> Market:
    """Both hubs, over the registries of the original and over ours."""
    requires_npm(*PACKAGES)
    return furnish(twin_market(registries=request.param))


@pytest.fixture
def twin(opened_twin: Market) -> Iterator[Market]:
    """The twin, put back as it was at the end."""
    with opened_twin.evm.anchor():
        yield opened_twin


def _everybody(roles: Roles) -> list[str]:
    people = (roles.owner, roles.requester, roles.sponsor, roles.app_owner, roles.dataset_owner, roles.scheduler, roles.stranger)
    return [person.address for person in (*people, *roles.workers)]


def _compare_records(twin: Market, deal: bytes, tasks: list[bytes]) -> None:
    """Read every record that a client may read; the twin compares the answers."""
    read = twin.hub.read
    for view in ("viewDeal", "viewDealABILegacy_pt1", "viewDealABILegacy_pt2", "viewConfigABILegacy"):
        read(view, deal)
    for task in tasks:
        for view in ("viewTask", "viewTaskABILegacy"):
            read(view, task)
        for worker in twin.roles.workers:
            for view in ("viewContribution", "viewContributionABILegacy"):
                read(view, task, worker.address)
    for account in (*_everybody(twin.roles), KITTY, twin.hub.address):
        for view in ("viewAccount", "viewAccountABILegacy", "viewScore"):
            read(view, account)
        twin.token.read("balanceOf", account)
    read("totalSupply")


def test_the_whole_life_of_a_deal(twin: Market) -> None:
    """Deposit, match, initialize, two contributions, reveal, finalize; the second task fails and is claimed."""
    roles, hub = twin.roles, twin.hub
    twin.fund(roles.requester, 5 * RLC)
    orders = twin.sign(twin.orders(TERMS))
    deal, receipt = twin.match_orders(orders, by=roles.stranger.address)
    hashes = {kind: order_hash(kind, values, hub.address) for kind, values in orders.items()}
    matched = twin.hub_events(receipt)[-1]
    assert matched == (
        "OrdersMatched",
        deal,
        hashes["AppOrder"],
        bytes(32),
        hashes["WorkerpoolOrder"],
        hashes["RequestOrder"],
        2,
    )
    tasks = [twin.initialize(deal, index) for index in (0, 1)]
    assert tasks == [task_id(deal, 0), task_id(deal, 1)]
    for worker in roles.workers[:2]:
        twin.contribute(tasks[0], worker)
        _compare_records(twin, deal, tasks)
    for worker in roles.workers[:2]:
        twin.reveal(tasks[0], worker)
    twin.finalize(tasks[0], b"link")
    _compare_records(twin, deal, tasks)
    twin.contribute(tasks[1], roles.workers[2], BAD)
    twin.evm.warp(10 * 1200)
    hub.send("claim", tasks[1], by=roles.stranger.address)
    _compare_records(twin, deal, tasks)
    assert [hub.read("viewTask", task)[0] for task in tasks] == [3, 4]
    for account in (roles.requester, roles.scheduler, *roles.workers):
        hub.send("withdraw", hub.read("balanceOf", account.address), by=account.address)
    assert twin.token.read("balanceOf", hub.address) == hub.read("totalSupply") > 0


def test_a_dataset_and_a_wrong_contribution(twin: Market) -> None:
    roles = twin.roles
    twin_pool = twin.workerpool_contract
    twin_pool.send("changePolicy", 35, 5, by=roles.scheduler.address)
    deal, _ = twin.match(replace(TERMS, with_dataset=True, dataset_price=2 * RLC, params='{"iexec_args":"x"}', price=1_000_000_007))
    task = twin.initialize(deal)
    twin.contribute(task, roles.workers[0], BAD)
    for worker in roles.workers[1:]:
        twin.contribute(task, worker)
    for worker in roles.workers[1:]:
        twin.reveal(task, worker)
    twin.finalize(task, b"x" * 84)
    _compare_records(twin, deal, [task])
    assert [twin.hub.read("viewScore", worker.address) for worker in roles.workers] == [0, 1, 1, 1, 1]


def _finish(twin: Market, task: bytes, worker: Signer, enclave: Signer | None, callback: bytes = b"") -> None:
    challenge = enclave.address if enclave else ZERO
    sealed = b""
    if enclave:
        sealed = enclave.sign_message(result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST))
    word = twin.authorize(worker, task, challenge)
    twin.hub.send("contributeAndFinalize", task, DIGEST, b"results", callback, challenge, sealed, word, by=worker.address)


@pytest.mark.parametrize("tag", [bytes(32), TEE_TAG])
def test_contribute_and_finalize(twin: Market, tag: bytes) -> None:
    roles = twin.roles
    deal, _ = twin.match(replace(TERMS, trust=1, tag=tag))
    task = twin.initialize(deal)
    if tag == TEE_TAG:
        with pytest.raises(RevertedError):
            _finish(twin, task, roles.workers[0], None)
    _finish(twin, task, roles.workers[0], roles.enclave if tag == TEE_TAG else None)
    _compare_records(twin, deal, [task])


def test_reopen(twin: Market) -> None:
    roles, hub = twin.roles, twin.hub
    deal, _ = twin.match(TERMS)
    task = twin.initialize(deal)
    for worker in roles.workers[:2]:
        twin.contribute(task, worker, BAD)
    with pytest.raises(RevertedError):
        hub.send("reopen", task, by=roles.scheduler.address)
    twin.evm.warp(2 * 1200)
    hub.send("reopen", task, by=roles.scheduler.address)
    _compare_records(twin, deal, [task])
    for worker in roles.workers[2:4]:
        twin.contribute(task, worker)
    _compare_records(twin, deal, [task])
    for worker in roles.workers[2:4]:
        twin.reveal(task, worker)
    twin.finalize(task)
    _compare_records(twin, deal, [task])


def test_a_sponsor_and_a_kitty(twin: Market) -> None:
    """The first task fails and fills the kitty; the second takes from it."""
    roles, hub = twin.roles, twin.hub
    orders = twin.sign(twin.orders(replace(TERMS, beneficiary=roles.stranger.address)))
    deal, _ = twin.match_orders(orders, by=roles.sponsor.address, function="sponsorMatchOrders")
    twin.evm.warp(10 * 1200)
    hub.send("initializeAndClaimArray", [deal, deal], [0, 1], by=roles.stranger.address)
    second, _ = twin.match(replace(TERMS, salt=b"\x01" * 32, trust=0))
    task = twin.initialize(second)
    twin.contribute(task, roles.workers[0])
    twin.reveal(task, roles.workers[0])
    twin.finalize(task)
    _compare_records(twin, deal, [task_id(deal, 0)])
    _compare_records(twin, second, [task])
    assert hub.read("frozenOf", KITTY) == 5 * RLC


@pytest.mark.parametrize("mode", [0, 1])
def test_a_callback_that_keeps_and_one_that_refuses(twin: Market, mode: int) -> None:
    roles = twin.roles
    consumer = deploy_double(twin.evm, "Consumer", roles.stranger.address)
    twin.evm.send(roles.stranger.address, consumer, encode_call("setMode(uint256)", mode))
    deal, _ = twin.match(replace(TERMS, trust=1, callback=consumer))
    first, second = (twin.initialize(deal, index) for index in (0, 1))
    twin.contribute(first, roles.workers[0])
    twin.reveal(first, roles.workers[0])
    with pytest.raises(RevertedError):
        twin.finalize(first, b"", b"another value")
    twin.finalize(first, b"", VALUE)
    _finish(twin, second, roles.workers[1], None, VALUE)
    for task in (first, second):
        assert twin.hub.read("resultFor", task) == VALUE
        twin.evm.call(consumer, encode_call("results(bytes32)", task))
    _compare_records(twin, deal, [first, second])


def test_orders_on_the_chain(twin: Market) -> None:
    roles, hub = twin.roles, twin.hub
    orders = twin.orders(replace(TERMS, with_dataset=True))
    for kind, values in twin.sign(orders).items():
        hub.send(f"broadcast{kind}", as_tuple(values), by=roles.stranger.address)
    for kind, values in orders.items():
        owner = twin.owners()[kind]
        sign = owner.sign(operation_hash(kind, values, SIGN, hub.address))
        hub.send(f"manage{kind}", (as_tuple(values), SIGN, sign), by=roles.stranger.address)
        assert hub.read("verifyPresignature", owner.address, twin.hash(kind, values))
    assert hub.read("computeDealVolume", *map(as_tuple, orders.values())) == 2
    deal, _ = twin.match_orders(orders, by=roles.stranger.address)
    hub.send("manageRequestOrder", (as_tuple(orders["RequestOrder"]), CLOSE, b""), by=roles.requester.address)
    with pytest.raises(RevertedError, match="0x60"):
        twin.match_orders(orders, by=roles.stranger.address)
    _compare_records(twin, deal, [])


def test_dataset_orders_for_bulk(twin: Market) -> None:
    """`assertDatasetDealCompatibility`: every reason, in the same order on both hubs."""
    roles, hub = twin.roles, twin.hub
    deal, _ = twin.match(TERMS)
    with_dataset, _ = twin.match(replace(TERMS, with_dataset=True, salt=b"\x01" * 32))
    plain = twin.orders(replace(TERMS, with_dataset=True))["DatasetOrder"]
    stranger = roles.stranger.address
    cases = {
        "Dataset order is revoked or fully consumed": ({"volume": 0}, deal),
        "Invalid dataset order signature": ({"salt": b"\x02" * 32, "sign": roles.stranger.sign(bytes(32))}, deal),
        "Deal not found": ({}, bytes(32)),
        "Deal already has a dataset": ({}, with_dataset),
        "App restriction not satisfied": ({"apprestrict": stranger}, deal),
        "Workerpool restriction not satisfied": ({"workerpoolrestrict": stranger}, deal),
        "Requester restriction not satisfied": ({"requesterrestrict": stranger}, deal),
        "Tag compatibility not satisfied": ({"tag": (0x100).to_bytes(32, "big")}, deal),
        "": ({}, deal),
    }
    for reason, (changes, where) in cases.items():
        values = plain | changes
        if "sign" not in changes:
            values["sign"] = roles.dataset_owner.sign(twin.hash("DatasetOrder", values))
        if not reason:
            hub.read("assertDatasetDealCompatibility", as_tuple(values), where)
            continue
        with pytest.raises(RevertedError) as caught:
            hub.read("assertDatasetDealCompatibility", as_tuple(values), where)
        assert reason.encode() in caught.value.data
