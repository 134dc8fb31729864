"""The EVM of the tests, run by the embedded chain's own engine: a few times quicker, for tests with very many transactions."""

from __future__ import annotations

from eth_utils.address import to_canonical_address, to_checksum_address

from tests.support.evm import GAS_LIMIT, Evm, Log, Receipt, RevertedError
from tests.support.evm import Outcome as Kept
from tests.support.flat_state import AccountRecord, FlatState
from voisin.chain.devnet.engines.engine import BlockContext, Call, Outcome
from voisin.chain.devnet.engines.jit.engine import JitEngine
from voisin.chain.devnet.values import Account


class _Reader:
    """The flat state as the engine reads it."""

    def __init__(self, db: FlatState) -> None:
        self._db = db

    def account(self, address: bytes) -> Account:
        return Account(*self._db.account(address))

    def slot(self, address: bytes, slot: int) -> int:
        return self._db.get_storage(address, slot)

    def code(self, code_hash: bytes) -> bytes:
        return self._db.code(code_hash)


class QuickEvm(Evm):
    """A chain of its own; transactions cost nothing here either."""

    def __init__(self, chain_id: int = 31337) -> None:
        super().__init__(chain_id)
        self._engine = JitEngine()
        self._reader = _Reader(self._db)

    def _execute(self, sender: str, to: str | None, data: bytes, value: int, gas: int) -> Kept:
        mark = self._db.mark()
        call = Call(to_canonical_address(sender), to_canonical_address(to) if to else None, data, value, gas)
        block = BlockContext(
            number=self.block,
            timestamp=self.time,
            base_fee=0,
            gas_limit=GAS_LIMIT,
            coinbase=bytes(20),
            randao=bytes(32),
            chain_id=self.chain_id,
            ancestors=(),
        )
        outcome = self._engine.call(call, block, state=self._reader, is_expired=lambda: False)
        self._db.begin()
        for address, account in outcome.changes.accounts.items():
            self._db.put_account(address, AccountRecord(*account))
        for (address, slot), number in outcome.changes.slots.items():
            self._db.set_storage(address, slot, number)
        for code_hash, code in outcome.changes.codes.items():
            self._db.keep_code(code_hash, code)
        return Kept(_result(outcome), self._new_version(), self._db.changes_since(mark))


def _result(outcome: Outcome) -> Receipt | RevertedError:
    if outcome.error is not None:
        return RevertedError(outcome.output, outcome.gas_used, "Revert" if outcome.is_revert else outcome.error)
    logs = tuple(Log(to_checksum_address(log.address), log.topics, log.data) for log in outcome.logs)
    return Receipt(outcome.gas_used, logs, outcome.output, to_checksum_address(outcome.created) if outcome.created else "")
