"""
The chain itself: one author, one block a transaction, sealed the moment it arrives.

All methods run on one thread (see `lanes`), one after another; `height` and `recent` alone may be read from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from voisin.chain.devnet.block_clock import BlockClock, WallClock
from voisin.chain.devnet.engines.engine import BlockContext, Call, Engine, IsExpired, Outcome, RunOutOfTimeError, StateReader
from voisin.chain.devnet.fees import require_affordable, require_sendable
from voisin.chain.devnet.nonce_queue import NonceQueue
from voisin.chain.devnet.pretended import LATEST_PLACE, Place, PretendedState
from voisin.chain.devnet.recent import RecentBlocks
from voisin.chain.devnet.records.headers import randao_of, seal_empty, seal_transaction
from voisin.chain.devnet.records.store import ChainStore
from voisin.chain.devnet.txcodec import decode_transaction, reread_transaction
from voisin.chain.devnet.values import EMPTY_ACCOUNT, NO_CHANGES, ZERO_ADDRESS, Account, Block, Changes, Header, Transaction
from voisin.chain.devnet.wire.errors import RefusedTransactionError, RpcError
from voisin.errors import InputError

OFFSET_KEY = "clock_offset_s"
_CHAIN_ID_KEY = "chain_id"
_GENESIS_KEY = "genesis"

OnBlock = Callable[[Block], None]
"""Called on the ledger's thread after a block is safely written."""


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """
    What the ledger is held to.

    Attributes:
        chain_id: Chain id.
        base_fee: Base fee of every block [wei per gas].
        gas_limit: Most gas of a block [gas].
    """

    chain_id: int
    base_fee: int
    gas_limit: int


class Ledger:
    """
    Seals transactions into blocks and runs calls.

    Args:
        store: Where blocks are written; a new one gets its genesis block.
        engine: What executes contracts.
        rules: What the ledger is held to.
        allocation: Balances of the genesis block [wei], by address.
        wall: Gives the time now [Unix s].
        on_block: Told of every sealed block.

    Raises:
        InputError: The store holds a chain with another id, or another genesis block.
    """

    def __init__(
        self, store: ChainStore, engine: Engine, *, rules: LedgerRules, allocation: Mapping[bytes, int], wall: WallClock, on_block: OnBlock
    ) -> None:
        self._store = store
        self._engine = engine
        self._rules = rules
        self._on_block = on_block
        self._clock = BlockClock(wall, offset_s=int(store.setting(OFFSET_KEY) or 0))
        self._queue = NonceQueue(reread_transaction(raw, sender=sender) for sender, raw in store.waiting())
        head = store.head()
        self.head: Header = self._make_genesis(allocation) if head is None else head
        if head is not None:
            self._require_same_genesis(allocation)
        self._ancestors = store.ancestors(self.head.number + 1)
        self.engine_name = engine.name
        self.recent = RecentBlocks()
        self.height = self.head.number
        self._unannounced: list[Block] | None = None

    # Transactions.

    def send(self, raw: bytes) -> bytes:
        """
        Take a signed transaction: seal it at once, or let it wait when an earlier nonce is missing.

        Args:
            raw: The signed bytes.

        Returns:
            The transaction's hash.

        Raises:
            BadParamsError: The bytes are no transaction.
            RefusedTransactionError: No block may hold it; says why.
            LimitError: Too many of this sender wait.
            UnavailableError: The chain's file cannot be written.
        """
        tx = decode_transaction(raw, chain_id=self._rules.chain_id)
        account = self._store.state.account(tx.sender)
        return self._admit(tx, account, code=self._store.state.code(account.code_hash))

    def send_together(self, raws: Sequence[bytes], *, time_s: float) -> list[bytes | RpcError]:
        """
        Take several signed transactions, each into a block of its own, and write these blocks to the disk at once.

        Args:
            raws: The signed bytes of each.
            time_s: When it has taken so long, no further transaction is begun [s].

        Returns:
            For each transaction that was begun, at least the first, its hash or why it is refused.

        Raises:
            UnavailableError: The chain's file cannot be written; none of them was taken.
        """
        end = time.monotonic() + time_s
        answers: list[bytes | RpcError] = []
        self._unannounced = []
        try:
            with self._store.together():
                for raw in raws:
                    answers.append(self._send_or_refuse(raw))
                    if time.monotonic() > end:
                        break
            for block in self._unannounced:
                self._announce(block)
        except BaseException:
            self._reread()
            raise
        finally:
            self._unannounced = None
        return answers

    def _send_or_refuse(self, raw: bytes) -> bytes | RpcError:
        try:
            return self.send(raw)
        except RpcError as refusal:
            return refusal

    def _reread(self) -> None:
        """Forget what was not written after all."""
        self._store.state.forget()
        head = self._store.head()
        assert head is not None
        self.head = head
        self._ancestors = self._store.ancestors(head.number + 1)
        self._queue = NonceQueue(reread_transaction(raw, sender=sender) for sender, raw in self._store.waiting())
        self._clock.reset(int(self._store.setting(OFFSET_KEY) or 0))

    def _admit(self, tx: Transaction, account: Account, *, code: bytes) -> bytes:
        require_sendable(tx, base_fee=self._rules.base_fee, block_gas_limit=self._rules.gas_limit)
        require_affordable(tx, account, code=code)
        if tx.nonce > account.nonce:
            self._queue.add(tx)
            self._store.keep_waiting(tx)
            return tx.hash
        self._seal(tx)
        for sender in {tx.sender, *(one.authority for one in tx.authorizations if one.authority)}:
            self._seal_followers(sender)
        return tx.hash

    def _seal_followers(self, sender: bytes) -> None:
        state = self._store.state
        while (tx := self._queue.take(sender, (account := state.account(sender)).nonce)) is not None:
            try:
                require_affordable(tx, account, code=state.code(account.code_hash))
            except RefusedTransactionError:
                self._store.drop_waiting(tx)
                return
            self._seal(tx)

    def _seal(self, tx: Transaction) -> None:
        context = self._context()
        outcome = self._engine.execute(tx, context, state=self._store.state)
        self._append(seal_transaction(context, self.head, tx=tx, outcome=outcome), outcome.changes)

    def _append(self, block: Block, changes: Changes, *, is_clocked: bool = True) -> None:
        self._store.seal(block, changes)
        self.head = block.header
        self._ancestors = (block.header.hash, *self._ancestors[:255])
        if is_clocked and self._clock.was_sealed(block.header.timestamp):
            self._keep_offset()
        if self._unannounced is None:
            self._announce(block)
        else:
            self._unannounced.append(block)

    def _announce(self, block: Block) -> None:
        """Let everybody see a block that is safely written."""
        self.recent.add(block)
        self.height = block.header.number
        self._on_block(block)

    # Calls.

    def call(self, call: Call, *, place: Place = LATEST_PLACE, is_expired: IsExpired) -> Outcome:
        """
        Run a call in the present or after a block of the past.

        Args:
            call: The call.
            place: Which block it pretends to be in, and what to pretend about it.
            is_expired: Asked now and then; True stops the run.

        Returns:
            What it did.

        Raises:
            RpcError: The sender does not hold the value, the price is below the base fee, or the time is up.
        """
        context, state = self._place(place)
        if call.price and call.price < context.base_fee:
            raise RpcError(f"max fee per gas less than block base fee: maxFeePerGas: {call.price}, baseFee: {context.base_fee}")
        if state.account(call.sender).balance < call.value:
            raise RpcError(f"insufficient funds for transfer: address 0x{call.sender.hex()}")
        if not call.price:
            context = replace(context, base_fee=0)
        try:
            return self._engine.call(call, context, state=state, is_expired=is_expired)
        except RunOutOfTimeError as error:
            raise RpcError("execution aborted: the call took too long", hint="call less at once, or raise the call timeout") from error

    def height_of(self, block_hash: bytes) -> int:
        """
        Find a block by its hash.

        Args:
            block_hash: The hash.

        Returns:
            Its height.

        Raises:
            RpcError: There is no such block.
        """
        number = self._store.number_of(block_hash)
        if number is None:
            raise RpcError("header not found")
        return number

    def coming_block(self) -> Block:
        """
        Make the block that would be sealed now without a transaction.

        Returns:
            The block; nothing is sealed.
        """
        return seal_empty(self._context(), self.head, changes=NO_CHANGES)

    @property
    def state(self) -> StateReader:
        """The latest state; not to be kept while blocks are sealed."""
        return self._store.state

    def _place(self, place: Place) -> tuple[BlockContext, StateReader]:
        context, state = self._actual(place.block, place.is_pending)
        if place.pretended:
            state = PretendedState(state, place.pretended)
        return place.pretend(context), state

    def _actual(self, block: int | None, is_pending: bool) -> tuple[BlockContext, StateReader]:
        if is_pending:
            return self._context(), self._store.state
        if block is None:
            now = self._clock.now(not_before=self.head.timestamp)
            return replace(context_of(self.head, self._rules.chain_id, self._ancestors[1:]), timestamp=now), self._store.state
        header = self._store.header(block)
        if header is None:
            raise RpcError("header not found")
        return context_of(header, self._rules.chain_id, self._store.ancestors(block)), self._store.state_after(block)

    def _context(self) -> BlockContext:
        number, rules = self.head.number + 1, self._rules
        return BlockContext(
            number=number, timestamp=self._clock.now(not_before=self.head.timestamp), base_fee=rules.base_fee, gas_limit=rules.gas_limit,
            coinbase=ZERO_ADDRESS, randao=randao_of(number), chain_id=rules.chain_id, ancestors=self._ancestors,
        )  # fmt: skip

    def _keep_offset(self) -> None:
        self._store.set_setting(OFFSET_KEY, str(self._clock.offset_s).encode())

    # The first block.

    def _make_genesis(self, allocation: Mapping[bytes, int]) -> Header:
        now = self._clock.now(not_before=0)
        rules = self._rules
        context = BlockContext(0, now, rules.base_fee, rules.gas_limit, ZERO_ADDRESS, randao_of(0), rules.chain_id, ())
        changes = _genesis(allocation)
        block = seal_empty(context, None, changes=changes)
        self._store.set_setting(_CHAIN_ID_KEY, str(rules.chain_id).encode())
        self._store.seal(block, changes)
        return block.header

    def _require_same_genesis(self, allocation: Mapping[bytes, int]) -> None:
        stored = int(self._store.setting(_CHAIN_ID_KEY) or 0)
        if stored != self._rules.chain_id:
            hint = "start it with that chain id, or choose another file"
            raise InputError(f"the file holds chain {stored}, not chain {self._rules.chain_id}", hint=hint)
        genesis = self._store.header(0)
        context = BlockContext(0, 0, 0, 0, ZERO_ADDRESS, b"", 0, ())
        if genesis is None or seal_empty(context, None, changes=_genesis(allocation)).header.state_root != genesis.state_root:
            hint = "start it with the same accounts and allocation, or choose another file"
            raise InputError("the file's chain began with other balances", hint=hint)


def _genesis(allocation: Mapping[bytes, int]) -> Changes:
    return Changes({address: EMPTY_ACCOUNT._replace(balance=balance) for address, balance in allocation.items() if balance}, {}, {})


def context_of(header: Header, chain_id: int, ancestors: tuple[bytes, ...]) -> BlockContext:
    """
    Say what code saw that ran in a block.

    Args:
        header: The block's header.
        chain_id: The chain's id.
        ancestors: Hashes of the blocks before it, the parent first.

    Returns:
        The block as an execution finds it.
    """
    return BlockContext(
        header.number, header.timestamp, header.base_fee, header.gas_limit, header.coinbase, header.randao, chain_id, ancestors
    )
