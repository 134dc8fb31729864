"""The file of leaves, fetched from storage and held against the posted root."""

from __future__ import annotations

from typing import Final

import anyio.to_thread

from voisin.protocol.bag_api import decode_leaves
from voisin.protocol.bag_settlement import Leaf, PostedBag
from voisin.protocol.cid import cid_from_digest
from voisin.protocol.ids import from_hex
from voisin.storage import StorageClient

MAX_FILE_BYTES: Final = 1 << 28


async def fetch_leaves(storage: StorageClient, bag: PostedBag) -> tuple[Leaf, ...]:
    """
    Fetch the leaves of a bag.

    Args:
        storage: Where the file lies.
        bag: The bag.

    Raises:
        UnavailableError: Storage does not answer, or does not have the file.
        InputError: The file is malformed.
        TrustError: It is another file, or its leaves have another root.
    """
    data = await storage.get_bytes(cid_from_digest(from_hex(bag.leaves)), max_bytes=MAX_FILE_BYTES)
    return await anyio.to_thread.run_sync(decode_leaves, data, bag.deal_id, bag.root)
