"""
Gas of every function of the hub, ours next to the original's: the same calls, on the same EVM, in one run.

Prints a table and fails if any call costs more with us; with `--keep`, keeps the figures in `contracts/gas.json`, from which
`contracts/table.py` writes the specification's tables. Needs the packages of `package.json` (`npm ci`). The figures are exact and the
same on every machine; those of signed orders vary by a few units of gas with the zero bytes in hashes, on both sides alike.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.support.accounts import Signer
from tests.support.boost import match_boost, push, sponsor_boost
from tests.support.compiled import deploy_double, encode_call
from tests.support.contracts import Contract
from tests.support.evm import Receipt
from tests.support.market import DIGEST, RLC, WEI, Market, Terms, deploy_market, furnish
from tests.support.npm import has_package
from tests.support.orders import CLOSE, SIGN, TEE_TAG, ZERO, as_tuple, result_hash, result_seal
from tests.support.original import PACKAGES, deploy_original, original_code
from voisin.chain.artifacts import load_artifact
from voisin.chain.deployment.plan import FACETS, facet_cuts
from voisin.protocol.ids import Address

KEPT = Path(__file__).parents[1] / "contracts" / "gas.json"
BAD = keccak(b"a wrong result")
LINK = b'{"storage":"ipfs","location":"/ipfs/QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"}'
PARAMS = '{"iexec_args":"--frames 0..23 --size 1920x1080","iexec_result_storage_provider":"ipfs","iexec_developer_logger":1}'
PLAIN = Terms(app_price=RLC, dataset_price=2 * RLC, price=10 * RLC)
Measure = Iterator[tuple[str, Receipt]]


def main() -> int:
    """Measure both hubs and compare."""
    missing = [package for package in PACKAGES if not has_package(package)]
    if missing:
        sys.stderr.write(f"{', '.join(missing)} not installed: run `npm ci`\n")
        return 1
    ours, theirs = measure_all(deploy_market), measure_all(deploy_original)
    if "--keep" in sys.argv:
        rows = [f"  {json.dumps(label)}: [{gas}, {theirs[label]}]" for label, gas in ours.items()]
        KEPT.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print("| call | ours | original | ours / original |")
    print("| --- | ---: | ---: | ---: |")
    for label, gas in ours.items():
        print(f"| {label} | {gas:,} | {theirs[label]:,} | {gas / theirs[label]:.2f} |")
    dearer = [label for label, gas in ours.items() if gas >= theirs[label]]
    if dearer:
        sys.stderr.write(f"dearer than the original: {', '.join(dearer)}\n")
    return 1 if dearer else 0


def measure_all(deploy: Callable[..., Market]) -> dict[str, int]:
    """Measure a hub of tokens, and what is particular about one of native coin; gives gas by label."""
    return measure(furnish(deploy()), PATHS) | measure(furnish(deploy(is_native=True)), NATIVE_PATHS)


def measure(market: Market, paths: Iterable[Callable[[Market], Measure]]) -> dict[str, int]:
    """Run every path once, each from the same furnished market with a settled task in its past; gives gas by label."""
    _settle_one(market)
    found: dict[str, int] = {}
    for path in paths:
        with market.evm.anchor():
            for label, receipt in path(market):
                assert label not in found, label
                found[label] = receipt.gas_used
    return found


def _settle_one(market: Market) -> None:
    """Bring accounts and scores to the state in which they stay: nothing is written for the first time."""
    roles = market.roles
    task = market.initialize(market.match(replace(PLAIN, trust=4, with_dataset=True, salt=b"\xaa" * 32))[0])
    for worker in roles.workers[:2]:
        market.contribute(task, worker)
    for worker in roles.workers[:2]:
        market.reveal(task, worker)
    market.finalize(task)
    market.hub.send("transfer", market.hub.address, 1, by=roles.requester.address)


def money(market: Market) -> Measure:
    """Deposits, withdrawals and the ERC-20 face."""
    roles, hub, token = market.roles, market.hub, market.token
    requester, stranger, worker = roles.requester.address, roles.stranger.address, roles.workers[0].address
    token.send("transfer", requester, 100 * RLC, by=roles.owner.address)
    token.send("approve", hub.address, 50 * RLC, by=requester)
    yield "deposit", hub.send("deposit", RLC, by=requester)
    yield "depositFor", hub.send("depositFor", RLC, worker, by=requester)
    yield "depositForArray, 3", hub.send("depositForArray", [1, 2, 3], [requester, worker, stranger], by=requester)
    yield "receiveApproval, RLC.approveAndCall", token.send("approveAndCall", hub.address, RLC, b"", by=requester)
    yield "withdraw", hub.send("withdraw", RLC, by=requester)
    yield "withdrawTo", hub.send("withdrawTo", RLC, worker, by=requester)
    yield "transfer", hub.send("transfer", worker, RLC, by=requester)
    yield "approve", hub.send("approve", stranger, RLC, by=requester)
    yield "transferFrom", hub.send("transferFrom", requester, worker, 1, by=stranger)
    yield "increaseAllowance", hub.send("increaseAllowance", stranger, 1, by=requester)
    yield "decreaseAllowance", hub.send("decreaseAllowance", stranger, 1, by=requester)
    spender = deploy_double(market.evm, "Spender", stranger)
    market.evm.send(stranger, spender, encode_call("setAnswer(bool)", True))
    yield "approveAndCall", hub.send("approveAndCall", spender, RLC, b"hello", by=requester)
    token.send("transfer", hub.address, 5, by=roles.owner.address)
    yield "recover", hub.send("recover", by=roles.owner.address)


def coin(market: Market) -> Measure:
    """Deposits and withdrawals of native coin."""
    roles, hub, evm = market.roles, market.hub, market.evm
    requester, stranger, worker = roles.requester.address, roles.stranger.address, roles.workers[0].address
    for account in (requester, worker, roles.owner.address):
        evm.fund(account, 10**20)
    yield "native: deposit", hub.send("deposit", by=requester, value=RLC * WEI)
    yield "native: deposit, with a rest", hub.send("deposit", by=requester, value=RLC * WEI + 1)
    yield "native: depositFor", hub.send("depositFor", worker, by=requester, value=RLC * WEI)
    yield "native: depositForArray, 3", hub.send("depositForArray", [1, 2, 3], [requester, worker, stranger], by=requester, value=6 * WEI)
    yield "native: coin that just comes", evm.send(requester, hub.address, b"", value=RLC * WEI)
    yield "native: withdraw", hub.send("withdraw", RLC, by=requester)
    yield "native: withdrawTo", hub.send("withdrawTo", RLC, worker, by=requester)
    yield "native: transfer", hub.send("transfer", worker, RLC, by=requester)
    evm.fund(hub.address, evm.balance(hub.address) + 5 * WEI)
    yield "native: recover", hub.send("recover", by=roles.owner.address)


def configuration(market: Market) -> Measure:
    """What the owner does."""
    hub, owner, stranger = market.hub, market.roles.owner.address, market.roles.stranger.address
    yield "createCategory", hub.send("createCategory", "XXL", "a description", 100_000, by=owner)
    yield "setTeeBroker", hub.send("setTeeBroker", stranger, by=owner)
    yield "setCallbackGas", hub.send("setCallbackGas", 250_000, by=owner)
    registries = [contract.address for contract in market.contracts[2:]]
    yield "changeRegistries", hub.send("changeRegistries", *registries, by=owner)
    yield "updateDomainSeparator", hub.send("updateDomainSeparator", by=owner)


def founding(market: Market) -> Measure:
    """A hub with the same facets, of which nothing else is known yet."""
    roles, owner = market.roles, market.roles.owner.address
    cuts = [(facet, 0, selectors) for facet, selectors in market.hub.read("facets")]
    if market.is_original:
        code = original_code("Diamond") + encode(["(address,uint8,bytes4[])[]", "(address,address,bytes)"], [cuts, (owner, ZERO, b"")])
    else:
        names = {market.hub.read("facetAddress", selectors[0]): name for name, selectors in _own_selectors().items()}
        small = [selector for cut in facet_cuts({names[facet]: Address(facet) for facet, _, _ in cuts}) for selector in cut.small]
        code = load_artifact("Hub").init_code + encode(["(address,uint8,bytes4[])[]", "bytes4[]", "bytes[]"], [cuts, small, []])
    hub = Contract(market.evm, "hub", market.evm.send(owner, None, code).contract, "Hub")
    former = deploy_double(market.evm, "FormerHub", roles.stranger.address)
    registries = [contract.address for contract in market.contracts[2:]]
    yield "configure", hub.send("configure", market.token.address, "Staked RLC", "SRLC", 9, *registries, former, by=owner)
    yield "importScore", hub.send("importScore", roles.workers[0].address, by=roles.stranger.address)


def _own_selectors() -> dict[str, tuple[bytes, ...]]:
    """Our facets' selectors by the facet's name."""
    return {name: facet_cuts({name: Address(ZERO)})[0].selectors for name in FACETS}


def upgrades(market: Market) -> Measure:
    """Facets that come, move and go."""
    owner, stranger = market.roles.owner.address, market.roles.stranger.address
    first, second = (deploy_double(market.evm, "Guest", stranger) for _ in range(2))
    made = [bytes([0xF0, 0, 0, number]) for number in range(10)]
    for count, name in ((1, "1 selector"), (10, "10 selectors")):
        with market.evm.anchor():
            for word, cut in (("add", (first, 0)), ("replace", (second, 1)), ("remove", (ZERO, 2))):
                yield f"diamondCut, {word} {name}", market.hub.send("diamondCut", [(*cut, made[:count])], ZERO, b"", by=owner)
    yield "transferOwnership", market.hub.send("transferOwnership", stranger, by=owner)


def entries(market: Market) -> Measure:
    """Apps, datasets, workerpools."""
    roles = market.roles
    owner, stranger = roles.app_owner.address, roles.stranger.address
    app = ("second", "DOCKER", b"docker.io/somebody/some-application:1.2.3-beta", keccak(b"a"))
    yield "AppRegistry.createApp", market.app_registry.send("createApp", owner, *app, b"", by=owner)
    yield "AppRegistry.createApp, TEE", market.app_registry.send("createApp", owner, *app, b"x" * 174, by=owner)
    yield (
        "DatasetRegistry.createDataset",
        market.dataset_registry.send("createDataset", owner, "data", b"/ipfs/" + b"Q" * 46, keccak(b"d"), by=owner),
    )
    yield "WorkerpoolRegistry.createWorkerpool", market.workerpool_registry.send("createWorkerpool", owner, "a second pool", by=owner)
    scheduler = roles.scheduler.address
    yield "Workerpool.changePolicy", market.workerpool_contract.send("changePolicy", 35, 5, by=scheduler)
    yield "AppRegistry.transferFrom", market.app_registry.send("transferFrom", owner, stranger, int(market.app, 16), by=owner)


def tokens(market: Market) -> Measure:
    """Entries as tokens, and the registries' owner."""
    owner, stranger, boss = market.roles.app_owner.address, market.roles.stranger.address, market.roles.owner.address
    registry, token = market.app_registry, int(market.app, 16)
    yield "AppRegistry.approve", registry.send("approve", stranger, token, by=owner)
    yield "AppRegistry.setApprovalForAll", registry.send("setApprovalForAll", stranger, True, by=owner)
    for name, more in (("safeTransferFrom(address,address,uint256)", ()), ("safeTransferFrom(address,address,uint256,bytes)", (b"data",))):
        with market.evm.anchor():
            yield f"AppRegistry.{name}", registry.send(name, owner, stranger, token, *more, by=owner)
    yield "AppRegistry.setBaseURI", registry.send("setBaseURI", "https://metadata.somewhere.example/app/31337/", by=boss)
    with market.evm.anchor():
        yield "AppRegistry.renounceOwnership", registry.send("renounceOwnership", by=boss)
    yield "AppRegistry.transferOwnership", registry.send("transferOwnership", stranger, by=boss)


def orders(market: Market) -> Measure:
    """Orders signed, closed and shown on the chain."""
    signed = market.sign(market.orders(replace(PLAIN, with_dataset=True)))
    for kind, order in signed.items():
        owner = market.owners()[kind].address
        yield f"manage{kind}, sign", market.hub.send(f"manage{kind}", (as_tuple(order), SIGN, b""), by=owner)
        yield f"manage{kind}, close", market.hub.send(f"manage{kind}", (as_tuple(order), CLOSE, b""), by=owner)
        yield f"broadcast{kind}", market.hub.send(f"broadcast{kind}", as_tuple(order), by=owner)


def matches(market: Market) -> Measure:
    """Deals of several kinds, from orders never used before."""
    shapes = {
        "no dataset": PLAIN,
        "dataset": replace(PLAIN, with_dataset=True),
        "params of 31 bytes": replace(PLAIN, params="x" * 31),
        "params of 32 bytes": replace(PLAIN, params="x" * 32),
        "params of 111 bytes": replace(PLAIN, params=PARAMS),
        "dataset, TEE, params of 111 bytes": replace(PLAIN, with_dataset=True, tag=TEE_TAG, params=PARAMS),
        "callback": replace(PLAIN, callback=market.roles.stranger.address),
        "beneficiary": replace(PLAIN, beneficiary=market.roles.stranger.address),
        "1,000 tasks of category 4": replace(PLAIN, volume=1_000, price=RLC // 100, app_price=1, category=4),
    }
    for place, (label, terms) in enumerate(shapes.items()):
        yield f"matchOrders, {label}", market.match(replace(terms, salt=bytes([place + 1]) * 32))[1]
    again = market.orders(replace(PLAIN, volume=5, salt=b"\x21" * 32))
    for place in range(2):
        again["RequestOrder"].update(salt=bytes([place + 100]) * 32, volume=1)
        receipt = market.match_orders(market.sign(again), by=market.roles.stranger.address)[1]
        if place:
            yield "matchOrders, app and workerpool orders used before", receipt
    presigned = market.orders(replace(PLAIN, salt=b"\x22" * 32))
    for kind in ("AppOrder", "WorkerpoolOrder", "RequestOrder"):
        market.hub.send(f"manage{kind}", (as_tuple(presigned[kind]), SIGN, b""), by=market.owners()[kind].address)
    yield "matchOrders, all signed on the chain", market.match_orders(presigned, by=market.roles.stranger.address)[1]
    sponsored = market.sign(market.orders(replace(PLAIN, salt=b"\x23" * 32)))
    yield "sponsorMatchOrders", market.match_orders(sponsored, by=market.roles.sponsor.address, function="sponsorMatchOrders")[1]


def replicated(workers: int, trust: int) -> Callable[[Market], Measure]:
    """The life of a task with some workers; index 1 of its deal."""

    def path(market: Market) -> Measure:
        roles, name = market.roles, f"{workers} worker{'s' if workers > 1 else ''}"
        deal = market.match(replace(PLAIN, trust=trust, volume=2))[0]
        receipt = market.hub.send("initialize", deal, 1, by=roles.scheduler.address)
        task = receipt.output
        if workers == 1:
            yield "initialize", receipt
        for place, worker in enumerate(roles.workers[:workers]):
            yield f"contribute, {place + 1} of {workers}", market.contribute(task, worker)
        for place, worker in enumerate(roles.workers[:workers]):
            yield f"reveal, {place + 1} of {workers}", market.reveal(task, worker)
        for results in (b"", b"r" * 32):
            with market.evm.anchor():
                yield f"finalize, {name}, results of {len(results)} bytes", market.finalize(task, results)
        yield f"finalize, {name}, results of {len(LINK)} bytes", market.finalize(task, LINK)

    return path


def settlements(market: Market) -> Measure:
    """Settlements with more parties: dataset, kitty, callback, a wrong worker."""
    roles = market.roles
    takes, refuses = (deploy_double(market.evm, "Consumer", roles.stranger.address) for _ in range(2))
    market.evm.send(roles.stranger.address, refuses, encode_call("setMode(uint256)", 1))
    kinds = {
        "dataset": replace(PLAIN, with_dataset=True),
        "params of 111 bytes": replace(PLAIN, params=PARAMS),
        "callback to an account": replace(PLAIN, callback=roles.stranger.address),
        "callback": replace(PLAIN, callback=takes),
        "callback that fails": replace(PLAIN, callback=refuses),
    }
    for place, (label, terms) in enumerate(kinds.items()):
        task = _revealed(market, replace(terms, salt=bytes([place + 1]) * 32), 1)
        value = b"the right result" if terms.callback != PLAIN.callback else b""
        yield f"finalize, {label}", market.finalize(task, LINK, value)
    task = market.initialize(market.match(replace(PLAIN, trust=4, salt=b"\x31" * 32))[0])
    market.contribute(task, roles.workers[0], BAD)
    for worker in roles.workers[1:]:
        market.contribute(task, worker)
    for worker in roles.workers[1:]:
        market.reveal(task, worker)
    yield "finalize, 4 right workers and a wrong one", market.finalize(task, LINK)
    failed = market.initialize(market.match(replace(PLAIN, salt=b"\x32" * 32))[0])
    market.evm.warp(3_000)
    market.hub.send("claim", failed, by=roles.stranger.address)
    yield "finalize, kitty", market.finalize(_revealed(market, replace(PLAIN, salt=b"\x33" * 32), 1), LINK)


def at_once(market: Market) -> Measure:
    """`contributeAndFinalize`."""
    roles = market.roles
    for place, (label, terms, enclave) in enumerate(
        (
            ("", PLAIN, None),
            (", TEE", replace(PLAIN, tag=TEE_TAG), roles.enclave),
            (", TEE, dataset", replace(PLAIN, tag=TEE_TAG, with_dataset=True), roles.enclave),
        )
    ):
        task = market.initialize(market.match(replace(terms, salt=bytes([place + 1]) * 32))[0])
        yield f"contributeAndFinalize{label}", _finish(market, task, roles.workers[0], enclave)
    task = market.initialize(market.match(replace(PLAIN, tag=TEE_TAG, salt=b"\x41" * 32))[0])
    yield "contribute, TEE", market.contribute(task, roles.workers[0], enclave=roles.enclave)


def endings(market: Market) -> Measure:
    """Claims, reopenings, array forms."""
    roles, hub = market.roles, market.hub
    stranger = roles.stranger.address
    deal = market.match(replace(PLAIN, trust=4, volume=45, price=RLC // 10, app_price=1))[0]
    yield "initializeArray, 10", hub.send("initializeArray", [deal] * 10, list(range(10)), by=stranger)
    tasks = [market.hub.send("initialize", deal, 10 + place, by=stranger).output for place in range(5)]
    for place, count in enumerate((0, 1, 2, 3)):
        for who, worker in enumerate(roles.workers[:count]):
            market.contribute(tasks[place], worker, BAD if who == 2 else keccak(bytes([who])))
    for worker in roles.workers[:2]:
        market.contribute(tasks[4], worker)
    market.evm.warp(600)
    with market.evm.anchor():
        yield "reopen, 2 rejected", hub.send("reopen", tasks[4], by=roles.scheduler.address)
    market.evm.warp(2_400)
    hub.send("initializeAndClaimArray", [deal], [44], by=stranger)
    for place in range(4):
        yield f"claim, {place} contributor{'s' if place != 1 else ''}", hub.send("claim", tasks[place], by=stranger)
    yield "claim, revealing, 2 contributors", hub.send("claim", tasks[4], by=stranger)
    yield "initializeAndClaimArray, 10", hub.send("initializeAndClaimArray", [deal] * 10, list(range(20, 30)), by=stranger)
    claims = [hub.send("initialize", deal, 30 + place, by=stranger).output for place in range(10)]
    yield "claimArray, 10", hub.send("claimArray", claims, by=stranger)


def boost(market: Market) -> Measure:
    """Deals without a record of their replication."""
    roles = market.roles
    shapes = {
        "no dataset": PLAIN,
        "TEE": replace(PLAIN, tag=TEE_TAG),
        "dataset, TEE": replace(PLAIN, tag=TEE_TAG, with_dataset=True),
        "params of 111 bytes": replace(PLAIN, params=PARAMS),
        "callback": replace(PLAIN, callback=roles.stranger.address),
        "1,000 tasks": replace(PLAIN, volume=1_000, price=RLC // 100, app_price=1),
    }
    deals: dict[str, bytes] = {}
    for place, (label, terms) in enumerate(shapes.items()):
        deals[label], receipt = match_boost(market, replace(terms, salt=bytes([place + 1]) * 32))
        yield f"matchOrdersBoost, {label}", receipt
    sponsored, receipt = sponsor_boost(market, replace(PLAIN, salt=b"\x51" * 32))
    yield "sponsorMatchOrdersBoost", receipt
    for label, deal in deals.items():
        enclave = roles.enclave if "TEE" in label else None
        yield (
            f"pushResultBoost, {label}",
            push(market, deal, results=LINK, callback=b"v" * 64 if label == "callback" else b"", enclave=enclave),
        )
    bag = deals["1,000 tasks"]
    yield "pushResultBoost, no results", push(market, bag, 1, results=b"")
    market.evm.warp(2_100)
    yield "claimBoost", market.hub.send("claimBoost", bag, 2, by=roles.stranger.address)
    yield "claimBoost, sponsored", market.hub.send("claimBoost", sponsored, 0, by=roles.stranger.address)
    fresh, _ = match_boost(market, replace(PLAIN, salt=b"\x52" * 32))
    yield "pushResultBoost, kitty", push(market, fresh, results=LINK)


def _revealed(market: Market, terms: Terms, count: int) -> bytes:
    task = market.initialize(market.match(terms)[0])
    for worker in market.roles.workers[:count]:
        market.contribute(task, worker)
    for worker in market.roles.workers[:count]:
        market.reveal(task, worker)
    return task


def _finish(market: Market, task: bytes, worker: Signer, enclave: Signer | None) -> Receipt:
    challenge, sealed = ZERO, b""
    if enclave:
        challenge = enclave.address
        sealed = enclave.sign_message(result_hash(task, DIGEST), result_seal(worker.address, task, DIGEST))
    word = market.authorize(worker, task, challenge)
    arguments = (task, DIGEST, LINK, b"", challenge, sealed, word)
    return market.hub.send("contributeAndFinalize", *arguments, by=worker.address)


PATHS: tuple[Callable[[Market], Measure], ...] = (
    money,
    configuration,
    founding,
    upgrades,
    entries,
    tokens,
    orders,
    matches,
    replicated(1, 1),
    replicated(2, 4),
    replicated(3, 8),
    replicated(4, 16),
    settlements,
    at_once,
    endings,
    boost,
)
NATIVE_PATHS = (coin,)

if __name__ == "__main__":
    sys.exit(main())
