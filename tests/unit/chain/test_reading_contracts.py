"""What contracts answer becomes the protocol's records; ids that nobody knows and contracts that are none become errors in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from tests.support.node_twin import APPS, CHAIN_ID, DATASETS, HUB, TOKEN, WORKERPOOLS, NodeTwin, install_hub, reverted
from voisin.chain import Chain, Rpc, connect
from voisin.errors import InputError, StateError, UnavailableError
from voisin.protocol.ids import Address, DealId, Hash32, OrderHash, TaskId
from voisin.protocol.orders import OrderKind
from voisin.protocol.records import (
    Account,
    AppInfo,
    Category,
    Contribution,
    ContributionStatus,
    DatasetInfo,
    Deal,
    Resource,
    Task,
    TaskStatus,
    WorkerpoolInfo,
)  # fmt: skip

pytestmark = pytest.mark.anyio
ONE = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
TWO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
SIX = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
ZERO = "0x" + "00" * 20
A, B = (Hash32("0x" + digit * 64) for digit in "ab")
RAW_A, RAW_B = bytes.fromhex("a" * 64), bytes.fromhex("b" * 64)
DEAL_TYPE = (
    "((address,address,uint256),(address,address,uint256),(address,address,uint256),uint256,uint256,bytes32,address,address,address,"
    "string,uint256,uint256,uint256,uint256,uint256,address)"
)
TASK_TYPE = "(uint8,bytes32,uint256,uint256,uint256,uint256,uint256,bytes32,uint256,uint256,address[],bytes32,bytes,uint256,bytes)"
NO_TASK = (0, bytes(32), 0, 0, 0, 0, 0, bytes(32), 0, 0, [], bytes(32), b"", 0, b"")
SOME_TASK = (2, RAW_A, 3, 300, 4, 5, 6, RAW_B, 7, 8, [ONE, TWO], RAW_A, b"results", 0, b"back")


def answers(node: NodeTwin, contract: str, table: dict[str, Callable[[bytes], bytes] | bytes]) -> None:
    """Let a contract answer by selector."""
    before = node.contracts.get(contract)

    def answer(data: bytes) -> bytes:
        found = table.get(data[:4].hex())
        if found is None:
            assert before is not None
            return before(data)
        return found if isinstance(found, bytes) else found(data[4:])

    node.contracts[contract] = answer


async def test_connecting_takes_one_request(node: NodeTwin, rpc: Rpc) -> None:
    chain = await connect(rpc, Address(HUB))
    assert node.requests == 1
    assert (chain.chain_id, chain.hub_address, chain.token_address) == (CHAIN_ID, HUB, TOKEN)
    assert (chain.app_registry, chain.dataset_registry, chain.workerpool_registry) == (APPS, DATASETS, WORKERPOOLS)
    assert (chain.domain.name, chain.domain.version) == ("iExecODB", "5.0.0")
    assert await chain.block_time() == 1_700_000_000
    assert await chain.native_balance(Address(ONE)) == 10**18


async def test_there_is_no_hub_at_an_empty_address(rpc: Rpc) -> None:
    with pytest.raises(InputError, match=f"there is no contract at {ONE} on chain {CHAIN_ID}: check the hub's address"):
        await connect(rpc, Address(ONE))


@pytest.mark.parametrize("answer", [b"", bytes(32), b"\xff" * 32])
async def test_another_contract_is_no_hub(node: NodeTwin, rpc: Rpc, answer: bytes) -> None:
    node.contracts[ONE] = lambda _: answer
    with pytest.raises(InputError, match="is not a hub"):
        await connect(rpc, Address(ONE))


async def test_a_copy_of_a_hub_that_signs_for_another_is_refused(node: NodeTwin, rpc: Rpc) -> None:
    node.contracts[ONE] = node.contracts[HUB]
    with pytest.raises(InputError, match="says it is"):
        await connect(rpc, Address(ONE))


async def test_a_node_that_is_away_is_no_missing_hub(node: NodeTwin, rpc: Rpc) -> None:
    node.faults.extend(["refused"] * 10)
    with pytest.raises(UnavailableError):
        await connect(rpc, Address(HUB))


async def test_an_account(node: NodeTwin, chain: Chain) -> None:
    answers(node, HUB, {"6b55f4a5": lambda data: encode(["(uint256,uint256)"], [(5, int(data.hex(), 16) % 7)])})
    assert await chain.hub.account(Address(ONE)) == Account(5, int(ONE, 16) % 7)  # type: ignore[arg-type]


async def test_a_deal(node: NodeTwin, chain: Chain) -> None:
    some = ((ONE, TWO, 1), (TWO, SIX, 2), (SIX, ONE, 3), 4, 5, RAW_A, ONE, TWO, SIX, "params", 6, 7, 8, 9, 10, ONE)
    none: Any = ((ZERO, ZERO, 0), (ZERO, ZERO, 0), (ZERO, ZERO, 0), 0, 0, bytes(32), ZERO, ZERO, ZERO, "", 0, 0, 0, 0, 0, ZERO)
    answers(node, HUB, {"b74861b2": lambda data: encode([DEAL_TYPE], [some if data == RAW_A else none])})
    assert await chain.hub.deal(DealId(A)) == Deal(
        app=Resource(ONE, TWO, 1), dataset=Resource(TWO, SIX, 2), workerpool=Resource(SIX, ONE, 3), trust=4, category=5, tag=A,
        requester=ONE, beneficiary=TWO, callback=SIX, params="params", start_time=6, bot_first=7, bot_size=8, worker_stake=9,
        scheduler_reward_ratio=10, sponsor=ONE,
    )  # type: ignore[arg-type]  # fmt: skip
    with pytest.raises(StateError, match="unknown deal 0xbbbb"):
        await chain.hub.deal(DealId(B))


async def test_a_task(node: NodeTwin, chain: Chain) -> None:
    answers(node, HUB, {"adccf0d5": lambda data: encode([TASK_TYPE], [SOME_TASK if data == RAW_A else NO_TASK])})
    task = Task(
        status=TaskStatus.REVEALING, deal_id=DealId(A), index=3, time_ref_s=300, contribution_deadline=4, reveal_deadline=5,
        final_deadline=6, consensus=B, reveal_counter=7, winner_counter=8, contributors=(ONE, TWO), result_digest=A, results=b"results",
        results_callback=b"back",
    )  # type: ignore[arg-type]  # fmt: skip
    assert await chain.hub.task(TaskId(A)) == task
    with pytest.raises(StateError, match="unknown task 0xbbbb"):
        await chain.hub.task(TaskId(B))
    assert await chain.hub.tasks([TaskId(A), TaskId(B), TaskId(A)]) == [task, None, task]


async def test_a_contribution(node: NodeTwin, chain: Chain) -> None:
    answers(node, HUB, {"e741363b": lambda _: encode(["(uint8,bytes32,bytes32,address,uint256)"], [(2, RAW_A, RAW_B, ONE, 3)])})
    expected = Contribution(status=ContributionStatus.PROVED, result_hash=A, result_seal=B, enclave_challenge=Address(ONE), weight=3)
    assert await chain.hub.contribution(TaskId(A), Address(ONE)) == expected


async def test_a_text_that_is_no_text_stops_nobody(node: NodeTwin, chain: Chain) -> None:
    """Anybody can have a deal whose parameters are no UTF-8: whoever follows the chain must read on."""
    parts = ((ONE, TWO, 3), (TWO, ONE, 4), (SIX, ONE, 5), 1, 2, RAW_A, ONE, TWO, ZERO)
    answer = encode([DEAL_TYPE.replace("string", "bytes")], [(*parts, b"{\xff\xfe}", 6, 7, 8, 9, 10, ONE)])
    answers(node, HUB, {"b74861b2": lambda data: answer})
    assert (await chain.hub.deal(DealId(A))).params == "{\ufffd\ufffd}"


async def test_categories(node: NodeTwin, chain: Chain) -> None:
    def view(data: bytes) -> bytes:
        number = int(data.hex(), 16)
        if number > 1:
            raise reverted()
        return encode(["(string,string,uint256)"], [(f"C{number}", "", 300 + number)])

    answers(node, HUB, {"c140996f": encode(["uint256"], [2]), "4f5f44ec": view})
    assert await chain.hub.categories() == [Category("C0", "", 300), Category("C1", "", 301)]
    assert await chain.hub.category(1) == Category("C1", "", 301)
    with pytest.raises(InputError, match="the hub has no category 2"):
        await chain.hub.category(2)


async def test_numbers(node: NodeTwin, chain: Chain) -> None:
    number = encode(["uint256"], [7])
    answers(node, HUB, {"4b2bec8c": number, "d286eb16": encode(["address"], [ONE]), "db230b52": number, "e63ec07d": number})
    node.contracts[TOKEN] = lambda _: number
    assert await chain.hub.consumed(OrderHash(A)) == 7
    assert await chain.hub.presigned(OrderHash(A)) == ONE
    assert await chain.hub.score(Address(ONE)) == 7
    assert await chain.hub.scores([Address(ONE)] * 3) == [7, 7, 7]
    assert await chain.hub.callback_gas() == 7
    assert await chain.token.balance(Address(ONE)) == 7
    assert await chain.token.allowance(Address(ONE), Address(TWO)) == 7
    assert await chain.token.total_supply() == 7


def registry(node: NodeTwin, address: str, entries: dict[str, str]) -> None:
    """A registry with some entries and their owners."""

    def owner_of(data: bytes) -> bytes:
        owner = entries.get("0x" + data[12:32].hex())
        if owner is None:
            raise reverted(bytes.fromhex("7e273289") + data)
        return encode(["address"], [owner])

    def by_index(data: bytes) -> bytes:
        owner, index = decode(["address", "uint256"], data)
        return encode(["uint256"], [[int(entry, 16) for entry, who in entries.items() if who.lower() == owner][index]])

    node.contracts[address] = {}.get  # type: ignore[assignment]
    answers(
        node,
        address,
        {
            "6352211e": owner_of,
            "c3c5a547": lambda data: encode(["bool"], ["0x" + data[12:32].hex() in entries]),
            "70a08231": lambda data: encode(["uint256"], [sum(who.lower() == "0x" + data[12:32].hex() for who in entries.values())]),
            "2f745c59": by_index,
        },
    )


async def test_entries(node: NodeTwin, chain: Chain) -> None:
    registry(node, APPS, {SIX.lower(): ONE, TWO.lower(): ONE})
    registry(node, DATASETS, {})
    registry(node, WORKERPOOLS, {ONE.lower(): TWO})
    registries = chain.registries
    assert await registries.owner_of(Address(SIX)) == ONE
    assert await registries.owner_of(Address(ONE)) == TWO
    assert (await registries.is_app(Address(SIX)), await registries.is_workerpool(Address(SIX))) == (True, False)
    assert not await registries.is_dataset(Address(SIX))
    assert await registries.owned(OrderKind.APP, Address(ONE)) == [SIX, TWO]
    assert await registries.owned(OrderKind.DATASET, Address(ONE)) == []
    with pytest.raises(StateError, match="there is no app, dataset or workerpool at"):
        await registries.owner_of(Address(HUB))
    with pytest.raises(InputError, match="no registry of request entries"):
        await registries.owned(OrderKind.REQUEST, Address(ONE))


async def test_what_entries_say(node: NodeTwin, chain: Chain) -> None:
    registry(node, APPS, {SIX.lower(): ONE})
    registry(node, DATASETS, {SIX.lower(): ONE})
    registry(node, WORKERPOOLS, {SIX.lower(): ONE})
    answers(
        node,
        HUB,
        {
            "e1523fb4": encode(["(address,string,string,bytes,bytes32,bytes)"], [(ONE, "n", "WASM", b"m", RAW_A, b"e")]),
            "1e143ef7": encode(["(address,string,bytes,bytes32)"], [(ONE, "n", b"m", RAW_A)]),
            "bd8ab058": encode(["(address,string,uint256,uint256)"], [(ONE, "d", 30, 1)]),
        },
    )
    registries, entry = chain.registries, Address(SIX)
    assert await registries.app(entry) == AppInfo(owner=Address(ONE), name="n", type="WASM", multiaddr=b"m", checksum=A, mrenclave=b"e")
    assert await registries.dataset(entry) == DatasetInfo(owner=Address(ONE), name="n", multiaddr=b"m", checksum=A)
    assert await registries.workerpool(entry) == WorkerpoolInfo(
        owner=Address(ONE), description="d", worker_stake_ratio=30, scheduler_reward_ratio=1
    )
    for read in (registries.app, registries.dataset, registries.workerpool):
        with pytest.raises(StateError, match=r"there is no .* at 0x70997970"):  # it answers like an entry, but no registry knows it
            await read(Address(TWO))


async def test_groups_let_their_members_in(node: NodeTwin, chain: Chain) -> None:
    def members(data: bytes) -> bytes:
        key, purpose = decode(["bytes32", "uint256"], data[4:])
        assert data[:4].hex() == "d202158d"
        return encode(["bool"], [purpose == 4 and key.hex() == ONE[2:].lower().rjust(64, "0")])

    def refuses(_: bytes) -> bytes:
        raise reverted()

    node.contracts |= {SIX: members, TOKEN: refuses}
    one, two = Address(ONE), Address(TWO)
    assert await chain.is_authorized(Address(ZERO), one)
    assert await chain.is_authorized(one, one)
    assert await chain.is_authorized(Address(SIX), one)
    assert not await chain.is_authorized(Address(SIX), two)
    assert not await chain.is_authorized(two, one)  # no contract there
    assert not await chain.is_authorized(Address(TOKEN), one)
    node.faults.extend(["refused"] * 10)
    with pytest.raises(UnavailableError):  # a node that is away is no refusal
        await chain.is_authorized(Address(SIX), one)


async def test_signatures_are_the_hubs_to_judge(node: NodeTwin, chain: Chain) -> None:
    def verify(data: bytes) -> bytes:
        who, digest, signature = decode(["address", "bytes32", "bytes"], data)
        if len(signature) != 65:
            raise reverted()
        return encode(["bool"], [(who, digest) == (ONE.lower(), RAW_A)])

    answers(node, HUB, {"01751998": verify})
    sign = "0x" + "11" * 65
    assert await chain.is_signed_by(Address(ONE), RAW_A, sign)
    assert not await chain.is_signed_by(Address(ONE), RAW_B, sign)
    assert not await chain.is_signed_by(Address(ONE), RAW_A, "0x")
    node.requests = 0
    assert not await chain.is_signed_by(Address(ZERO), RAW_A, sign)
    assert node.requests == 0


async def test_a_hub_twin_is_fresh_for_every_test() -> None:
    node = NodeTwin()
    install_hub(node)
    assert set(node.contracts) == {HUB}
