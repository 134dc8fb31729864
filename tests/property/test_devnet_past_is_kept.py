"""Whatever is sealed, rewound and reopened: every block of the past reads as it was. The store against a list of dictionaries."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from eth_hash.auto import keccak
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.nights import examples
from voisin.chain.devnet.engines.engine import BlockContext, StateReader
from voisin.chain.devnet.records.archive import Archive
from voisin.chain.devnet.records.headers import seal_empty
from voisin.chain.devnet.records.store import ChainStore, Snapshot
from voisin.chain.devnet.values import EMPTY_ACCOUNT, NO_CHANGES, Account, Changes

ADDRESSES = [bytes([number]) * 20 for number in range(1, 4)]
CODES = [b"", b"one", b"two"]
accounts = st.builds(Account, st.integers(0, 5), st.sampled_from([0, 1, 2**64, 2**255]), st.sampled_from([keccak(code) for code in CODES]))
slots = st.tuples(st.sampled_from(ADDRESSES), st.sampled_from([0, 1, 2**255]))
values = st.sampled_from([0, 1, 2**256 - 1])


@dataclass
class Past:
    """The whole state after one block."""

    accounts: dict[bytes, Account] = field(default_factory=dict)
    slots: dict[tuple[bytes, int], int] = field(default_factory=dict)

    def after(self, changes: Changes) -> Past:
        return Past(self.accounts | dict(changes.accounts), self.slots | dict(changes.slots))

    def assert_reads_as(self, state: StateReader) -> None:
        for address in ADDRESSES:
            account = state.account(address)
            assert account == self.accounts.get(address, EMPTY_ACCOUNT)
            assert keccak(state.code(account.code_hash)) == account.code_hash
            for slot in (0, 1, 2**255):
                assert state.slot(address, slot) == self.slots.get((address, slot), 0)


class StoreKeepsThePast(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "chain.sqlite"
        self.store = ChainStore(self.path)
        self.archive = Archive(self.path)
        self.past: list[Past] = []
        self._seal(NO_CHANGES)

    def _seal(self, changes: Changes) -> None:
        head = self.store.head()
        number = head.number + 1 if head else 0
        context = BlockContext(number, number, 0, 30_000_000, bytes(20), bytes(32), 1, ())
        self.store.seal(seal_empty(context, head, changes=changes), changes)
        self.past.append((self.past[-1] if self.past else Past()).after(changes))

    @rule(new=st.dictionaries(st.sampled_from(ADDRESSES), accounts), written=st.dictionaries(slots, values))
    def seal(self, new: dict[bytes, Account], written: dict[tuple[bytes, int], int]) -> None:
        state = self.store.state
        changed = {address: account for address, account in new.items() if account != state.account(address)}
        differing = {key: value for key, value in written.items() if value != state.slot(*key)}
        known = {keccak(code): code for code in CODES}
        self._seal(Changes(changed, differing, {account.code_hash: known[account.code_hash] for account in changed.values()}))

    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.past) - 1))
        snapshot = self.store.add_snapshot(Snapshot(number, 7))
        self.store.rewind(number)
        del self.past[number + 1 :]
        assert self.store.take_snapshot(snapshot) == Snapshot(number, 7)
        assert self.store.take_snapshot(snapshot) is None

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = ChainStore(self.path)

    @rule(data=st.data())
    def read_the_past(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.past) - 1))
        self.past[number].assert_reads_as(self.store.state_after(number))
        with self.archive.one_moment():
            self.past[number].assert_reads_as(self.archive.state_after(number))

    @invariant()
    def present_is_the_last_block(self) -> None:
        self.past[-1].assert_reads_as(self.store.state)
        head = self.store.head()
        assert head is not None
        assert head.number == len(self.past) - 1
        assert self.archive.head_number() == head.number
        assert len(self.store.ancestors(head.number + 1)) == len(self.past)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.archive.close()
            self.store.close()
            self.folder.cleanup()


TestStoreKeepsThePast = StoreKeepsThePast.TestCase
TestStoreKeepsThePast.settings = settings(max_examples=examples(13), stateful_step_count=20, deadline=None)
