"""
The engine itself: what surrounds a message of the Prague fork, which is fees, nonce, access list and refunds.

Sources: the Yellow Paper, section 6; EIP-1559, EIP-2929, EIP-2930, EIP-3529, EIP-3651, EIP-7623, EIP-7702.
"""

from __future__ import annotations

from typing import NamedTuple

from voisin.chain.devnet.engines.engine import BlockContext, Call, IsExpired, Outcome, StateReader
from voisin.chain.devnet.engines.jit.calls import create_message, created_address, settle
from voisin.chain.devnet.engines.jit.code import CodeBook
from voisin.chain.devnet.engines.jit.frame import ENDED, FAILED, REVERTED, Frame
from voisin.chain.devnet.engines.jit.halts import HaltError
from voisin.chain.devnet.engines.jit.machine import run
from voisin.chain.devnet.engines.jit.precompiles import run_precompile
from voisin.chain.devnet.engines.jit.world import PRECOMPILES, World
from voisin.chain.devnet.fees import MAX_NONCE, REFUND_KNOWN_AUTHORITY, gas_needed, settle_gas
from voisin.chain.devnet.values import DELEGATION_PREFIX, EMPTY_ACCOUNT, ZERO_ADDRESS, Authorization, Transaction, delegate_of


class JitEngine:
    """
    Executes with the interpreter and translator of this package.

    Args:
        book: Codes, and which of their places are translated.
    """

    name = "voisin-jit (prague)"

    def __init__(self, book: CodeBook | None = None) -> None:
        self._book = book or CodeBook()

    def execute(self, tx: Transaction, block: BlockContext, *, state: StateReader) -> Outcome:
        """
        Execute a transaction that `fees` has found payable, fees included.

        Args:
            tx: The transaction.
            block: The block it will be part of.
            state: The state before.

        Returns:
            What it did.
        """
        price = tx.price(block.base_fee)
        world = World(state, self._book, block, origin=tx.sender, price=price)
        sender = world.account(tx.sender)
        world.put_account(tx.sender, sender._replace(balance=sender.balance - tx.gas * price))
        ending = _run(world, tx)
        used = settle_gas(tx.gas, left=ending.gas_left, refund=ending.refund, floor=ending.floor)
        _pay(world, tx.sender, (tx.gas - used) * price)
        _pay(world, block.coinbase, used * (price - block.base_fee))
        return _outcome(world, tx, ending=ending, used=used)

    def call(self, call: Call, block: BlockContext, *, state: StateReader, is_expired: IsExpired) -> Outcome:
        """
        Run a call without fees, nonce check or lasting effect.

        Args:
            call: The call.
            block: The block it pretends to be in.
            state: The state before.
            is_expired: Asked now and then; True stops the run.

        Returns:
            What it did.

        Raises:
            RunOutOfTimeError: `is_expired` said so.
        """
        world = World(state, self._book, block, origin=call.sender, price=call.price, is_expired=is_expired)
        ending = _run(world, call)
        used = settle_gas(call.gas, left=ending.gas_left, refund=ending.refund, floor=ending.floor)
        return _outcome(world, call, ending=ending, used=used)


class _Ending(NamedTuple):
    error: str | None
    is_revert: bool
    gas_left: int
    refund: int
    floor: int
    output: bytes
    created: bytes | None


def _run(world: World, asked: Transaction | Call) -> _Ending:
    """Raise the nonce, warm what the rules warm, run the message, and remove what destroyed itself."""
    nonce = world.account(asked.sender).nonce
    world.raise_nonce(asked.sender)
    world.touch(asked.sender)
    world.announce(asked.access_list)
    authorizations = asked.authorizations
    needed = gas_needed(asked.data, is_create=asked.to is None, access_list=asked.access_list, authorizations=len(authorizations))
    gas = asked.gas - needed.intrinsic
    refund = sum([_authorize(world, one) for one in authorizations])
    created: bytes | None = None
    message: Frame | None
    if asked.to is None:
        created = created_address(asked.sender, nonce)
        message = create_message(world, asked.data, address=created, sender=asked.sender, value=asked.value, gas=gas, depth=0)
        if message is None:
            return _Ending("contract address collision", False, 0, 0, needed.floor, b"", created)
    else:
        message = _message(world, asked, asked.to, gas)
    signal = _run_precompile(message) if asked.to in PRECOMPILES else run(message)
    world.destroy_doomed()
    words = "execution reverted" if signal == REVERTED else message.error
    return _Ending(words, signal == REVERTED, message.gas, refund + world.refund, needed.floor, message.output, created)


def _message(world: World, asked: Transaction | Call, to: bytes, gas: int) -> Frame:
    world.touch(to)
    code = world.code(to)
    if code.delegate is not None:
        world.touch(code.delegate)
        code = world.code(code.delegate)
    mark = world.mark()
    world.move(asked.sender, to, asked.value)
    return Frame(
        world, code, gas=gas, address=to, caller=asked.sender, value=asked.value, data=asked.data, depth=0, is_static=False,
        is_creation=False, mark=mark,
    )  # fmt: skip


def _run_precompile(message: Frame) -> int:
    try:
        message.gas, message.output = run_precompile(int.from_bytes(message.address), message.data, message.gas)
    except HaltError as halt:
        message.fail(halt.words)
        return settle(message, FAILED)
    return ENDED


def _authorize(world: World, given: Authorization) -> int:
    """Let an account run the code of another, as it has signed; gives the refund. A void authorization is passed over (EIP-7702)."""
    authority = given.authority
    if authority is None or given.chain_id not in (0, world.block.chain_id) or given.nonce >= MAX_NONCE:
        return 0
    world.touch(authority)
    account, code = world.account(authority), world.raw_code(authority)
    if (code and delegate_of(code) is None) or account.nonce != given.nonce:
        return 0
    world.put_code(authority, b"" if given.address == ZERO_ADDRESS else DELEGATION_PREFIX + given.address)
    world.raise_nonce(authority)
    return 0 if account == EMPTY_ACCOUNT else REFUND_KNOWN_AUTHORITY


def _pay(world: World, receiver: bytes, amount: int) -> None:
    if amount:
        account = world.account(receiver)
        world.put_account(receiver, account._replace(balance=account.balance + amount))


def _outcome(world: World, asked: Transaction | Call, *, ending: _Ending, used: int) -> Outcome:
    return Outcome(
        error=ending.error, is_revert=ending.is_revert, gas_used=used, gas_spent=asked.gas - ending.gas_left, output=ending.output,
        logs=() if ending.error else tuple(world.logs), created=ending.created, changes=world.changes(),
    )  # fmt: skip
