"""Contracts among real parts: one orders a computation, a worker runs the app, the answer arrives; one that fails is seen and retried."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.integration.test_worker_with_pool import DEADLINE_S, employ, pooling
from tests.support.chain_rig import APP_PRICE, POOL_PRICE, RLC
from tests.support.compiled import encode_call
from tests.support.dapp_on_chain import Dapp, deploy_consumer, deploy_dapp, offers
from tests.support.worker_rig import WorkerRig, open_worker_rig, tasks_of
from voisin.chain import Call, calls, follow
from voisin.chain.functions import function
from voisin.chain.reading import Read, read
from voisin.cli import main
from voisin.client.callbacks import CallbackState, find_callback, retry_callback
from voisin.client.network import Network, save_network
from voisin.errors import RevertError, StateError
from voisin.protocol.events import CallbackFailed, CallbackRetried, Event, TaskFinalized
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, TaskId, task_id
from voisin.units import NRLC

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
REFUSE, KEEP = 1, 0
ADD, REMOVE = 0, 2
NUMBERS = json.dumps({"iexec_args": "30,-7,12"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all tests of this file, which share a chain."""
    return "asyncio"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerRig]:
    async with open_worker_rig(tmp_path_factory.mktemp("world")) as rig:
        yield rig


def number(value: int) -> str:
    """A number as an app puts it into its callback data."""
    return "0x" + value.to_bytes(32, "big", signed=True).hex()


async def events_of(world: WorkerRig, task: TaskId, last: type[Event]) -> list[type[Event]]:
    """Wait for an event of a task; answers the kinds of all that the chain logged of the task, in order."""
    found: list[type[Event]] = []
    with anyio.fail_after(DEADLINE_S):
        async for stretch in follow(world.rig.chain, world.rig.deployment.block):
            found += [type(logged.event) for logged in stretch.events if getattr(logged.event, "task_id", None) == task]
            if last in found:
                return found
    raise AssertionError("the chain ended")


async def requester_of(world: WorkerRig, app: str) -> Dapp:
    """A contract of the stranger, with 100 RLC at the hub."""
    rig = world.rig
    contract = await deploy_dapp(rig, rig.stranger, "Requester.vy", rig.chain.hub_address, await world.app(app), 1)
    await rig.send(rig.owner, calls.transfer(rig.chain.token_address, rig.stranger.address, NRLC(100 * RLC)))
    await rig.send(rig.stranger, calls.approve(rig.chain.token_address, contract.address, NRLC(100 * RLC)))
    await contract.send(rig.stranger, "fund", 100 * RLC)
    return contract


async def order(world: WorkerRig, contract: Dapp, app: str, params: str) -> TaskId:
    """Have the contract order once; answers the task."""
    world.made += 1
    signed = offers(world.rig, await world.app(app), world.workerpool, trust=1, salt=world.made)
    await contract.send(world.rig.stranger, "order", *signed, params)
    with anyio.fail_after(DEADLINE_S):
        async for stretch in follow(world.rig.chain, world.rig.deployment.block):
            for logged in stretch.events:
                deal = getattr(logged.event, "deal_id", None)
                if deal is not None and await contract.read("is_open", task_id(deal, 0)):
                    return task_id(deal, 0)
    raise AssertionError("the chain ended")


async def set_mode(world: WorkerRig, consumer: Address, mode: int) -> None:
    await world.rig.send(world.rig.stranger, Call(consumer, encode_call("setMode(uint256)", mode), "set the mode"))


@asynccontextmanager
async def a_hub_that_says_nothing(world: WorkerRig) -> AsyncIterator[None]:
    """Take from the hub, for a while, what only ours has: so the original answers."""
    hub, ask = world.rig.chain.hub_address, function("Hub", "hasFailedCallback").selector
    reading = Read(hub, function("Hub", "facetAddress"), (ask,), str)
    facet = await read(world.rig.chain.rpc, reading)

    async def cut(target: str, action: int) -> None:
        data = function("Hub", "diamondCut").encode([(target, action, [ask])], ZERO_ADDRESS, b"")
        await world.rig.send(world.rig.owner, Call(hub, data, "cut"))

    await cut(ZERO_ADDRESS, REMOVE)
    try:
        yield
    finally:
        await cut(facet, ADD)


async def test_a_contract_orders_and_gets_its_answer(world: WorkerRig, tmp_path: Path) -> None:
    contract = await requester_of(world, "median")
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["honest"])
        task = await order(world, contract, "median", NUMBERS)
        assert TaskFinalized in await events_of(world, task, TaskFinalized)
        tasks.cancel_scope.cancel()
    assert await contract.read("answers", task) == bytes.fromhex(number(12)[2:])
    assert await contract.read("is_open", task) is False
    account = await world.rig.chain.hub.account(contract.address)
    assert (account.stake, account.locked) == (100 * RLC - APP_PRICE - POOL_PRICE, 0)
    callback = await find_callback(world.rig.chain, task)
    assert (callback.state, callback.contract, callback.result) == (CallbackState.TAKEN, contract.address, number(12))
    with pytest.raises(StateError, match="has not failed: the contract took the result"):
        await retry_callback(world.rig.chain, world.rig.senders[world.rig.stranger.address], task)
    async with a_hub_that_says_nothing(world):
        assert (await find_callback(world.rig.chain, task)).state is CallbackState.UNKNOWN


async def test_a_failed_app_answers_too(world: WorkerRig, tmp_path: Path) -> None:
    """Its contract gets the line under the failure's digest, which is no number."""
    contract = await requester_of(world, "median")
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["honest"])
        task = await order(world, contract, "median", json.dumps({"iexec_args": "twelve"}))
        await events_of(world, task, TaskFinalized)
        tasks.cancel_scope.cancel()
    answer = await contract.read("answers", task)
    assert isinstance(answer, bytes)
    assert answer.decode().split()[1:] == ["error.json"]


async def test_oracle_in_solidity_keeps_what_two_workers_agreed_on(world: WorkerRig, tmp_path: Path) -> None:
    rig, app = world.rig, await world.app("median")
    oracle = await deploy_dapp(rig, rig.stranger, "Oracle.sol", rig.chain.hub_address, app, world.workerpool, rig.requester.address, 4)
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["honest"] * 2)
        deal = await world.deal("median", params=NUMBERS, trust=4, initialize=False, callback=oracle.address)
        await events_of(world, tasks_of(deal)[0], TaskFinalized)
        tasks.cancel_scope.cancel()
    assert await oracle.read("latest") == (12, (await rig.chain.hub.deal(deal)).start_time)


async def test_a_contract_that_refuses_is_seen_and_retried(world: WorkerRig, tmp_path: Path) -> None:
    rig = world.rig
    consumer = await deploy_consumer(rig, rig.stranger)
    await set_mode(world, consumer, REFUSE)
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["honest"])
        deal = await world.deal("median", params=NUMBERS, initialize=False, callback=consumer)
        (task,) = tasks_of(deal)
        kinds = await events_of(world, task, CallbackFailed)
        tasks.cancel_scope.cancel()
    assert kinds[-2:] == [TaskFinalized, CallbackFailed]
    callback = await find_callback(rig.chain, task)
    assert (callback.state, callback.result) == (CallbackState.FAILED, number(12))
    sender = rig.senders[rig.requester.address]
    with pytest.raises(RevertError, match="no, thanks"):
        await retry_callback(rig.chain, sender, task)
    assert (await find_callback(rig.chain, task)).state is CallbackState.FAILED
    await set_mode(world, consumer, KEEP)
    assert (await retry_callback(rig.chain, sender, task, gas=1_000_000)).state is CallbackState.TAKEN
    assert (await events_of(world, task, CallbackRetried))[-1] is CallbackRetried
    kept = await rig.chain.rpc.call(
        "eth_call", {"to": consumer, "data": "0x" + encode_call("results(bytes32)", bytes.fromhex(task[2:])).hex()}
    )
    assert kept == "0x" + encode(["bytes"], [bytes.fromhex(number(12)[2:])]).hex()


async def test_the_command_line_shows_and_retries(world: WorkerRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A vault that nobody has funded yet refuses its proof; once it is funded, anybody may have it paid."""
    rig, payee = world.rig, rig_payee(world)
    app, params = await world.app("median"), keccak(NUMBERS.encode())
    terms = (rig.stranger.address, payee, app, world.workerpool, 1, params, 12, 2**40)
    vault = await deploy_dapp(rig, rig.stranger, "Vault.vy", rig.chain.hub_address, terms)
    async with pooling(world, tmp_path) as url, anyio.create_task_group() as tasks:
        await employ(tasks, world, url, ["honest"])
        (task,) = tasks_of(await world.deal("median", params=NUMBERS, initialize=False, callback=vault.address))
        await events_of(world, task, CallbackFailed)
        tasks.cancel_scope.cancel()
    home = at_home(world, tmp_path)

    async def voisin(*words: str) -> tuple[int, str, str]:
        code = await anyio.to_thread.run_sync(lambda: main(["task", "callback", task, "--home", str(home), *words]))
        said = capsys.readouterr()
        return code, said.out, " ".join(said.err.split())

    code, shown, said = await voisin()
    assert code == 0, said
    for words in (vault.address, "failed: the contract did not take the result", number(12), f"voisin task callback {task} --retry"):
        assert words in shown
    code, _, said = await voisin("--retry")
    assert (code, "nothing-to-pay" in said) == (1, True)
    await rig.send(rig.owner, calls.transfer(rig.chain.token_address, vault.address, NRLC(7 * RLC)))
    code, shown, said = await voisin("--retry", "--json")
    assert (code, json.loads(shown)["state"]) == (0, "taken"), said
    assert await rig.chain.token.balance(payee) == 7 * RLC
    code, _, said = await voisin("--retry")
    assert (code, "A result that was taken is never sent again" in said) == (1, True), said
    code, shown, _ = await voisin()
    assert (code, "taken: the contract took the result" in shown) == (0, True)


async def test_what_has_not_failed_is_not_retried(world: WorkerRig) -> None:
    (open_task,) = tasks_of(await world.deal("median", callback=world.workerpool))
    assert (await find_callback(world.rig.chain, open_task)).state is CallbackState.WAITING
    (task,) = tasks_of(await world.deal("median"))
    found = await find_callback(world.rig.chain, task)
    assert (found.state, found.result) == (CallbackState.NONE, "0x")
    with pytest.raises(StateError, match="names no contract"):
        await retry_callback(world.rig.chain, world.rig.senders[world.rig.stranger.address], task)
    with pytest.raises(StateError, match="unknown task"):
        await find_callback(world.rig.chain, TaskId(Hash32("0x" + "12" * 32)))


def rig_payee(world: WorkerRig) -> Address:
    """Somebody who has nothing yet."""
    world.made += 1
    return Address("0x" + keccak(f"payee {world.made}".encode())[12:].hex())


def at_home(world: WorkerRig, folder: Path) -> Path:
    """A home folder of somebody who knows the market; its wallet is the requester's."""
    keystore, password = world.files(world.rig.requester, "requester")
    network = Network(
        chain_id=world.rig.chain.chain_id,
        rpc_url=world.rig.node.rpc_url,
        hub=world.rig.chain.hub_address,
        market_url=world.storage_url,
        storage_url=world.storage_url,
        wallets={"requester": str(keystore)},
        password_file=str(password),
        first_block=world.rig.deployment.block,
    )
    home = folder / "home"
    save_network(home, network)
    return home
