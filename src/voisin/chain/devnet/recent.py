"""The blocks sealed last, by their transaction: what a client asks for right after it has sent one is answered without a thread."""

from __future__ import annotations

from voisin.chain.devnet.values import Block

_MAX_KEPT = 128


class RecentBlocks:
    """
    The latest blocks that hold a transaction.

    Written by the ledger's thread; any thread may read. Each operation on the dictionary is one step to other threads.
    """

    def __init__(self) -> None:
        self._blocks: dict[bytes, Block] = {}

    def add(self, block: Block) -> None:
        """
        Remember a block that is safely written.

        Args:
            block: The block.
        """
        if block.transaction is not None:
            self._blocks[block.transaction.hash] = block
            if len(self._blocks) > _MAX_KEPT:
                del self._blocks[next(iter(self._blocks))]

    def find(self, tx_hash: bytes) -> Block | None:
        """
        Find the block that holds a transaction.

        Args:
            tx_hash: Hash of the transaction.

        Returns:
            The block; None when it is not among the latest.
        """
        return self._blocks.get(tx_hash)

    def forget(self) -> None:
        """Forget all blocks: the chain has gone back."""
        self._blocks.clear()
