"""
What was sent to bring a market up, on disk: every transaction is written down, for good, before it is sent.

A run that was killed at any moment is taken up from there: what was sent is sent again with the same nonce, so nothing can be
carried out twice. The file is one JSON document a line; a last line without its end was never sent, and is dropped.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from voisin.chain.deployment.plan import DeploymentTerms
from voisin.chain.transactions import Price, Transaction
from voisin.errors import StateError
from voisin.protocol.codec import decode
from voisin.protocol.ids import Address, Hash32
from voisin.units import Wei

_MODE = 0o600


class Heading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Which market a journal is about.

    Attributes:
        chain_id: The chain (EIP-155).
        owner: Who sends the transactions.
        terms: What is particular about the market.
        hub: The hub that is changed; None for a market that is brought up.
    """

    chain_id: int
    owner: Address
    terms: DeploymentTerms
    hub: Address | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    One version of a transaction; later versions of the same nonce pay more.

    Attributes:
        step: Name of the plan's step.
        nonce: The transaction's number.
        hash: Its hash.
        gas: Its gas limit.
        max_fee: The most it pays [wei per gas].
        tip: The most of it that goes to the block's author [wei per gas].
        to: Receiver; None creates a contract.
        data: Calldata or creation code.
    """

    step: str
    nonce: int
    hash: Hash32
    gas: int
    max_fee: Wei
    tip: Wei
    to: Address | None
    data: bytes

    def transaction(self, chain_id: int) -> Transaction:
        """Make the transaction, unsigned; the same key signs it to the same bytes."""
        return Transaction(chain_id, self.nonce, Price(self.max_fee, self.tip), self.gas, self.to, Wei(0), self.data)


class Journal:
    """
    An open journal. Made by `open_journal`.

    Attributes:
        heading: The market.
        sent: All that was ever sent, in order.
    """

    def __init__(self, path: Path, file: BinaryIO, heading: Heading, sent: list[Sent]) -> None:
        self.path = path
        self.heading = heading
        self.sent = sent
        self._file = file

    def note(self, *sent: Sent) -> None:
        """Write transactions down; when this returns, they are on the disk."""
        _append(self._file, *sent)
        self.sent += sent

    def versions(self) -> dict[int, list[Sent]]:
        """Sort what was sent by nonce, the newest version of each last."""
        found: dict[int, list[Sent]] = {}
        for each in self.sent:
            found.setdefault(each.nonce, []).append(each)
        return dict(sorted(found.items()))

    def remove(self) -> None:
        """Forget everything: the market stands, and where is written elsewhere."""
        self.path.unlink()


@contextmanager
def open_journal(path: Path, heading: Heading) -> Iterator[Journal]:
    """
    Take up a journal, or begin one, and keep others away from it meanwhile.

    Args:
        path: The file; missing folders are made.
        heading: The market that is brought up.

    Raises:
        StateError: Another process has it open, or it is about another market.
        InputError: It is malformed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, _MODE), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"another process is bringing up the market of {path}", hint="wait until it is done") from None
        lines = _whole_lines(file)
        if not lines:
            _append(file, heading)
        elif (found := decode(lines[0], Heading, f"the journal {path}")) != heading:
            raise _other_market(path, found, heading)
        yield Journal(path, file, heading, [decode(line, Sent, f"the journal {path}") for line in lines[1:]])


def _whole_lines(file: BinaryIO) -> list[bytes]:
    """Read the lines, and cut off what was not written to its end."""
    data = file.read()
    end = data.rfind(b"\n") + 1
    file.truncate(end)
    file.seek(end)
    return data[:end].splitlines()


def _append(file: BinaryIO, *documents: msgspec.Struct) -> None:
    file.write(b"".join(msgspec.json.encode(document) + b"\n" for document in documents))
    file.flush()
    os.fsync(file.fileno())


def _other_market(path: Path, found: Heading, heading: Heading) -> StateError:
    differing = [
        f"{what} {old} instead of {new}"
        for what, old, new in (("chain", found.chain_id, heading.chain_id), ("wallet", found.owner, heading.owner))
        if old != new
    ]
    return StateError(
        f"an unfinished deployment is in {path}, with {' and '.join(differing) or 'another token or other options'}",
        hint="finish it as it was begun, name another --file, or remove that journal to give up what it has deployed",
    )
