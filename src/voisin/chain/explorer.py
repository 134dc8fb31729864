"""
What a block explorer shows, page by page, with calls and events in words: what the embedded chain's `explorer_...` methods answer.

Heights and gas are numbers, money is decimal text [wei], bytes are hex. A list that goes on names in `next` what to ask before which.
"""

from __future__ import annotations

import msgspec

from voisin.chain.describing import Described


class EventLine(msgspec.Struct, frozen=True, rename="camel"):
    """
    An event of a transaction.

    Attributes:
        address: Who emitted it.
        topics: Its topics.
        data: Its data.
        event: What it says; None when no ABI of ours knows it.
    """

    address: str
    topics: tuple[str, ...]
    data: str
    event: Described | None


class TransactionLine(msgspec.Struct, frozen=True, rename="camel"):
    """
    A transaction in a list.

    Attributes:
        hash: Its hash.
        block: Height of its block.
        timestamp: Time of its block [Unix s].
        sender: Who sent it.
        to: Receiver; None creates a contract.
        created: The contract that it created.
        value: Native coin moved [wei].
        is_success: Whether its effects were kept.
        gas_used: Gas paid for.
        title: What it does in a word: the function's name, its selector, `transfer` or `creation`.
    """

    hash: str
    block: int
    timestamp: int
    sender: str
    to: str | None
    created: str | None
    value: str
    is_success: bool
    gas_used: int
    title: str


class TransactionPage(msgspec.Struct, frozen=True, rename="camel"):
    """
    A transaction in full.

    Attributes:
        line: What a list says of it.
        kind: Its type (EIP-2718).
        nonce: Sender's transaction count.
        gas: Gas limit.
        price: Price of a unit of gas [wei].
        data: Calldata or creation code.
        call: What it calls; None when no ABI of ours knows it.
        events: Its events.
    """

    line: TransactionLine
    kind: int
    nonce: int
    gas: int
    price: str
    data: str
    call: Described | None
    events: tuple[EventLine, ...]


class BlockLine(msgspec.Struct, frozen=True, rename="camel"):
    """
    A block in a list.

    Attributes:
        number: Its height.
        hash: Its hash.
        timestamp: Its time [Unix s].
        gas_used: Gas used.
        transaction: Its transaction; None in a block that was mined empty, or that holds a change by hand.
    """

    number: int
    hash: str
    timestamp: int
    gas_used: int
    transaction: TransactionLine | None


class BlockList(msgspec.Struct, frozen=True, rename="camel"):
    """The latest blocks first; `next` is the height before which there are more."""

    blocks: tuple[BlockLine, ...]
    next: int | None


class BlockPage(msgspec.Struct, frozen=True, rename="camel"):
    """
    A block in full.

    Attributes:
        line: What a list says of it.
        parent: Hash of the block before.
        gas_limit: Most gas it may use.
        base_fee: Base fee of a unit of gas [wei].
        state_root: Running commitment to the state.
        transactions: Its transactions in full.
    """

    line: BlockLine
    parent: str
    gas_limit: int
    base_fee: str
    state_root: str
    transactions: tuple[TransactionPage, ...]


class AddressPage(msgspec.Struct, frozen=True, rename="camel"):
    """
    An account or contract.

    Attributes:
        address: Its address.
        balance: Native coin [wei].
        nonce: Transactions sent, or contracts created.
        code_bytes: Size of its code [bytes].
        delegate: Whose code it runs (EIP-7702); None for its own.
        transactions: Those that changed it or in which it emitted events, the latest first.
        next: Height before which there are more; None when there are not.
    """

    address: str
    balance: str
    nonce: int
    code_bytes: int
    delegate: str | None
    transactions: tuple[TransactionLine, ...]
    next: int | None
