"""
All engines, one meaning: ours, interpreting and translating, and py-evm against the executable specification, from a seed.

Everything is compared: success, gas with and without refunds, output, logs, created address, and every change of the state.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from eth_account import Account as Keys
from eth_utils.address import to_checksum_address

from tests.support.devnet import ADDRESSES, CHAIN_ID, COIN, GWEI, KEYS, notebook, signed
from tests.support.memory_state import MemoryState
from tests.support.programs import deployer, padded, program
from voisin.chain.devnet.engines.eels import EelsEngine
from voisin.chain.devnet.engines.engine import BlockContext, Call, Engine, Outcome, RunOutOfTimeError
from voisin.chain.devnet.engines.jit import CodeBook, JitEngine
from voisin.chain.devnet.engines.pyevm import PyEvmEngine
from voisin.chain.devnet.txcodec import decode_transaction
from voisin.chain.devnet.values import Authorization

OWNERS = [bytes.fromhex(address[2:]) for address in ADDRESSES]
LEGACY = {"gasPrice": 2 * GWEI}
LISTED = {"gasPrice": 2 * GWEI, "type": 1, "accessList": []}
COLD, HOT = CodeBook(budget=0), CodeBook(entries_until_hot=1, budget=float("inf"))
PRECOMPILES = [number.to_bytes(20, "big") for number in range(1, 0x12)]


@dataclass
class Comparison:
    """All engines on one state; the state goes on with what they agree on."""

    state: MemoryState = field(default_factory=lambda: MemoryState(dict.fromkeys(OWNERS, 1000 * COIN)))
    number: int = 20
    engines: tuple[Engine, ...] = (JitEngine(COLD), JitEngine(HOT), PyEvmEngine(), EelsEngine())

    def block(self) -> BlockContext:
        """The block that comes now."""
        ancestors = tuple(bytes([number]) * 32 for number in reversed(range(self.number)))
        return BlockContext(self.number, 1_800_000_000 + self.number, GWEI, 30_000_000, b"\xcb" * 20, b"\x5a" * 32, CHAIN_ID, ancestors)

    def send(self, who: int, **fields: object) -> Outcome:
        """Execute a transaction of an owner with all, and take its changes over."""
        raw = signed(KEYS[who], self.state.account(OWNERS[who]).nonce, **fields)
        tx = decode_transaction(raw, chain_id=CHAIN_ID)
        block = self.block()
        *ours, specified = (engine.execute(tx, block, state=self.state) for engine in self.engines)
        for outcome in ours:
            assert_same(outcome, specified)
        self.state.apply(specified.changes)
        self.number += 1
        return ours[0]

    def call(self, call: Call) -> Outcome:
        """Run a call with all."""
        *ours, specified = (engine.call(call, self.block(), state=self.state, is_expired=lambda: False) for engine in self.engines)
        for outcome in ours:
            assert_same(outcome, specified)
        return ours[0]

    def deploy(self, runtime: bytes) -> bytes:
        """Deploy code; give its address."""
        outcome = self.send(0, data=deployer(runtime), gas=8_000_000)
        assert outcome.error is None
        assert outcome.created is not None
        return outcome.created


def assert_same(ours: Outcome, specified: Outcome) -> None:
    assert (ours.error is None, ours.is_revert) == (specified.error is None, specified.is_revert), (ours.error, specified.error)
    assert ours.gas_used == specified.gas_used
    assert ours.gas_spent == specified.gas_spent
    assert ours.output == specified.output
    assert ours.logs == specified.logs
    assert ours.created == specified.created
    assert dict(ours.changes.accounts) == dict(specified.changes.accounts)
    assert dict(ours.changes.slots) == dict(specified.changes.slots)
    assert dict(ours.changes.codes) == dict(specified.changes.codes)


@pytest.fixture
def both() -> Comparison:
    return Comparison()


@pytest.mark.parametrize("seed", range(6))
def test_random_init_code(both: Comparison, seed: int) -> None:
    rng = random.Random(seed)
    kinds = {"ok": 0, "failed": 0}
    for _ in range(40):
        code = padded(program(rng, rng.choice((6, 12, 25, 50, 90)), addresses=OWNERS + PRECOMPILES))
        outcome = both.send(rng.randrange(4), data=code, value=rng.choice((0, 0, 3)), gas=rng.choice((120_000, 200_000, 900_000)))
        kinds["failed" if outcome.error else "ok"] += 1
    assert min(kinds.values()) >= 2, f"the generator has lost its bite: {kinds}"


@pytest.mark.parametrize("seed", range(6))
def test_random_contracts_called_again_and_again(both: Comparison, seed: int) -> None:
    rng = random.Random(1000 + seed)
    contracts: list[bytes] = []
    for _ in range(8):
        contracts.append(both.deploy(padded(program(rng, 40, addresses=OWNERS + contracts * 3 + PRECOMPILES))))
        for turn in range(4):
            target = rng.choice(contracts)
            slots = ["0x" + bytes(31).hex() + f"{slot:02x}" for slot in range(turn)]
            access = {"accessList": [{"address": to_checksum_address(target), "storageKeys": slots}]} if turn else {}
            both.send(rng.randrange(4), to=target, data=bytes([turn]) * 40, value=rng.choice((0, 1)), gas=300_000, **access)


def test_every_precompile_with_good_and_bad_input(both: Comparison) -> None:
    rng = random.Random(7)
    for precompile in PRECOMPILES:
        for data in (b"", bytes(range(128)), bytes(213), rng.randbytes(192)):
            both.send(0, to=precompile, data=data, gas=700_000)


@pytest.mark.parametrize("kind", [LEGACY, LISTED, {"maxFeePerGas": GWEI, "maxPriorityFeePerGas": 0}])
def test_each_kind_of_transaction_pays_the_same(both: Comparison, kind: dict[str, object]) -> None:
    outcome = both.send(0, to=ADDRESSES[1], value=5, gas=50_000, **kind)
    assert outcome.gas_used == 21_000


def authorized(who: int, address: bytes, **fields: object) -> object:
    """The authorization of an owner to run the code at an address."""
    return Keys.sign_authorization({"chainId": CHAIN_ID, "address": to_checksum_address(address), "nonce": 0, **fields}, KEYS[who])


def test_accounts_that_run_the_code_of_others(both: Comparison) -> None:
    counter = both.deploy(bytes.fromhex("5f546001015f5500"))  # counts its calls in slot 0
    # calls and looks at the account in its data
    prober = both.deploy(bytes.fromhex("5f355f5f5f5f5f855af150803b5f52803f60205260405fa0"))
    nonce = both.state.account(OWNERS[0]).nonce
    turns: list[tuple[int, bytes, list[object]]] = [
        (0, OWNERS[1], [authorized(1, counter)]),  # a known account: refund
        (0, OWNERS[1], [authorized(1, counter)]),  # the nonce has passed: void
        (0, OWNERS[2], [authorized(2, counter, chainId=5), authorized(3, counter, chainId=0)]),
        (0, OWNERS[0], [authorized(0, counter, nonce=nonce + 4)]),  # itself
        (0, OWNERS[3], [authorized(3, OWNERS[1], nonce=1)]),  # a delegate with a delegate: its designation runs, and is no code
        (0, OWNERS[3], [authorized(3, PRECOMPILES[1], nonce=2)]),  # a precompile: nothing runs
        (0, OWNERS[3], [authorized(3, bytes(20), nonce=3)]),  # taken away
        (0, counter, [authorized(2, OWNERS[2])]),  # itself as delegate
        (0, OWNERS[2], [authorized(2, prober, nonce=1)]),
    ]
    for sender, to, given in turns:
        both.send(sender, to=to, gas=400_000, authorizationList=given, data=bytes(12) + OWNERS[1])
        for owner in OWNERS:
            both.send(3, to=prober, gas=400_000, data=bytes(12) + owner)
    assert both.state.slot(OWNERS[1], 0) >= 2
    assert both.send(1, to=OWNERS[1], gas=100_000).error is None


def test_call_that_names_authorizations(both: Comparison) -> None:
    counter = both.deploy(bytes.fromhex("5f546001015f5500"))
    signed_one = authorized(1, counter)
    given = Authorization(CHAIN_ID, counter, 0, signed_one.y_parity, signed_one.r, signed_one.s, authority=OWNERS[1])  # type: ignore[attr-defined]
    outcome = both.call(Call(OWNERS[0], OWNERS[1], b"", 0, 200_000, authorizations=(given,)))
    assert outcome.changes.slots == {(OWNERS[1], 0): 1}


def test_calldata_heavy_transaction_pays_the_floor(both: Comparison) -> None:
    outcome = both.send(0, to=ADDRESSES[1], data=b"\1" * 20_000, gas=2_000_000)
    assert outcome.gas_used == 21_000 + 40 * 20_000


def test_init_code_too_large_fails_before_the_balance_is_looked_at(both: Comparison) -> None:
    # CREATE(value=2**200, offset=0, size=49153): the contract has no such balance, but the size alone ends it
    contract = both.deploy(bytes.fromhex("61c0015f7801000000000000000000000000000000000000000000000000f0"))
    outcome = both.send(0, to=contract, gas=500_000)
    assert (outcome.error, outcome.gas_used) == ("out of gas", 500_000)


def test_contract_that_is_made_and_destroyed_in_one_transaction(both: Comparison) -> None:
    # deploys (CREATE2) a contract that destroys itself at once, twice at the same address in two transactions
    child = bytes.fromhex("33ff")  # init code: CALLER SELFDESTRUCT
    maker = bytes.fromhex("7f") + child.ljust(32, b"\0") + bytes.fromhex("5f525f60025f6001f55f5500")
    contract = both.deploy(maker)
    for _ in range(2):
        assert both.send(0, to=contract, gas=300_000, value=9).error is None


def test_slot_that_is_cleared_and_written_again_earns_the_right_refund(both: Comparison) -> None:
    # stores each byte of the call data into slot 0 in turn
    looping = bytes.fromhex("5f5b80361115601657805f1a5f1a50803560f81c5f55600101600156005b00")
    contract = both.deploy(looping)
    for path in ("01", "00", "0100", "010001", "02", "0200", "020001", "0002", "00", "00"):
        both.send(1, to=contract, data=bytes.fromhex(path), gas=200_000)


def test_vyper_contract_with_nested_calls_reverts_and_logs(both: Comparison) -> None:
    book = notebook()
    created = both.send(0, data=book.init_code(5), gas=3_000_000).created
    assert created is not None
    to = created
    assert len(both.send(0, to=to, data=book.data("write", 1, (7, "hello"))).logs) == 1
    assert both.send(0, to=to, data=book.data("write", 1, (0, ""))).is_revert
    assert both.send(0, to=to, data=book.data("refuse", 42)).is_revert
    assert both.send(0, to=to, data=book.data("nest", 6, False), gas=3_000_000).error is None
    assert both.send(0, to=to, data=book.data("try_burn", 10_000), gas=300_000).error is None
    assert both.call(Call(OWNERS[2], created, book.data("moment"), 0, 1_000_000)).error is None
    assert both.call(Call(OWNERS[2], None, book.init_code(1), 0, 3_000_000)).output != b""
    assert both.call(Call(OWNERS[2], created, book.data("record_gas"), 0, 100_000)).error is None


def test_calls_nested_as_deep_as_gas_allows(both: Comparison) -> None:
    # counts in slot 0, then calls itself with all gas; the specification recurses in Python, which does not go so deep
    contract = both.deploy(bytes.fromhex("5f546001015f555f5f5f5f5f305af100"))
    tx = decode_transaction(signed(KEYS[1], both.state.account(OWNERS[1]).nonce, to=contract, gas=30_000_000), chain_id=CHAIN_ID)
    *ours, usual = (engine.execute(tx, both.block(), state=both.state) for engine in both.engines[:-1])
    assert usual.error is None
    assert usual.changes.slots[contract, 0] > 300
    for outcome in ours:
        assert_same(outcome, usual)


def test_calls_nested_to_the_very_limit(both: Comparison) -> None:
    # counts in transient slot 0, which costs so little that depth and not gas is the end; stores how deep it was
    contract = both.deploy(bytes.fromhex("5f5c6001015f5d5f5f5f5f5f305af1505f5c5f5500"))
    call = Call(OWNERS[1], contract, b"", 0, 2**40)
    *ours, usual = (engine.call(call, both.block(), state=both.state, is_expired=lambda: False) for engine in both.engines[:-1])
    assert usual.error is None
    assert usual.changes.slots[contract, 0] == 1025
    for outcome in ours:
        assert_same(outcome, usual)


@pytest.mark.parametrize("engine", [JitEngine(COLD), JitEngine(HOT), PyEvmEngine(), EelsEngine()], ids=["cold", "hot", "pyevm", "eels"])
def test_call_whose_time_is_up_is_stopped(engine: Engine, both: Comparison) -> None:
    contract = both.deploy(bytes.fromhex("5b5f56"))  # for ever
    asked = iter([False, False, True, True])
    with pytest.raises(RunOutOfTimeError):
        engine.call(Call(OWNERS[0], contract, b"", 0, 30_000_000), both.block(), state=both.state, is_expired=lambda: next(asked))


def test_keys_of_this_test_are_the_addresses_of_this_test() -> None:
    assert [Keys.from_key(key).address for key in KEYS] == list(ADDRESSES)
