"""
Every engine against the executable specification on 2,000 transactions from seeds: all kinds, all of the state.
"""

from __future__ import annotations

import pytest

from tests.support.devnet import CHAIN_ID, COIN, GWEI
from tests.support.memory_state import MemoryState
from tests.support.workload import OWNERS, Workload
from voisin.chain.devnet.engines.eels import EelsEngine
from voisin.chain.devnet.engines.engine import BlockContext, Engine, Outcome
from voisin.chain.devnet.engines.jit import CodeBook, JitEngine
from voisin.chain.devnet.engines.pyevm import PyEvmEngine
from voisin.chain.devnet.txcodec import decode_transaction

SEEDS, TRANSACTIONS = 10, 200
ENGINES: dict[str, Engine] = {
    "cold": JitEngine(CodeBook(budget=0)),
    "hot": JitEngine(CodeBook(entries_until_hot=1, budget=float("inf"))),
    "pyevm": PyEvmEngine(),
}


def block(number: int) -> BlockContext:
    ancestors = tuple(bytes([before % 256]) * 32 for before in reversed(range(max(0, number - 256), number)))
    return BlockContext(number, 1_800_000_000 + 7 * number, GWEI, 30_000_000, b"\xcb" * 20, b"\x5a" * 32, CHAIN_ID, ancestors)


def shown(outcome: Outcome) -> tuple[object, ...]:
    """All that must be equal; why something failed has other words in each engine."""
    changes = outcome.changes
    return (
        outcome.error is None,
        outcome.is_revert,
        outcome.gas_used,
        outcome.gas_spent,
        outcome.output,
        outcome.logs,
        outcome.created,
        dict(changes.accounts),
        dict(changes.slots),
        dict(changes.codes),
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_same_receipts_and_same_state(seed: int) -> None:
    state = MemoryState(dict.fromkeys(OWNERS, 1000 * COIN))
    workload = Workload(seed, lambda who: state.account(who).nonce)
    specification, endings = EelsEngine(), {"ok": 0, "failed": 0}
    for number in range(300, 300 + TRANSACTIONS):
        for who in OWNERS:  # an owner that runs the code of another may have lost all
            if state.account(who).balance < COIN:
                state.accounts[who] = state.account(who)._replace(balance=1000 * COIN)
        tx = decode_transaction(workload.next(), chain_id=CHAIN_ID)
        specified = specification.execute(tx, block(number), state=state)
        for name, engine in ENGINES.items():
            assert shown(engine.execute(tx, block(number), state=state)) == shown(specified), f"{name}, transaction {number}: {tx}"
        state.apply(specified.changes)
        if tx.to is None and specified.error is None and specified.created and state.account(specified.created).code_hash:
            workload.was_created(specified.created)
        endings["failed" if specified.error else "ok"] += 1
    assert len(workload.kinds) == 7, workload.kinds
    assert min(endings.values()) > TRANSACTIONS // 10, f"the workload has lost its bite: {endings}"
