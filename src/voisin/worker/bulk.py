"""
Many datasets in one task: the deal names a list of lists of signed dataset orders, and each task opens the datasets of one list.

Source: client-surface.md 5; pool-semantics.md 2.5, 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.ipld import Name, parse_name
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.sessions import MAX_BULK
from voisin.worker.plan import RequestError

MAX_LIST_BYTES: Final = 4 << 20


def read_name(text: str) -> Name:
    """
    Read the address of a list.

    Raises:
        RequestError: It is malformed.
    """
    try:
        return parse_name(text.removeprefix("/ipfs/"))
    except InputError:
        raise RequestError("the address of a list of datasets is malformed") from None


def slice_name(root: bytes, index: int) -> Name:
    """
    Find where the list of one task lies.

    Args:
        root: The list of lists.
        index: The task's index.

    Raises:
        RequestError: It is malformed, or has no list for this task.
    """
    try:
        names = msgspec.json.decode(root, type=list[str])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RequestError("the list of lists of datasets is malformed") from None
    if not index < len(names):
        raise RequestError(f"there are {len(names)} lists of datasets, and this is task {index}, counted from 0")
    return read_name(names[index])


def read_slice(data: bytes) -> tuple[DatasetOrder, ...]:
    """
    Read a list of signed dataset orders; foreign clients write numbers as text, too.

    Raises:
        RequestError: It is malformed, or too long.
    """
    try:
        orders = msgspec.convert(msgspec.json.decode(data), tuple[DatasetOrder, ...], strict=False)
    except (msgspec.MsgspecError, InputError, UnicodeDecodeError, RecursionError):
        raise RequestError("the list of datasets is malformed") from None
    if len(orders) > MAX_BULK:
        raise RequestError(f"a list has {len(orders)} datasets, and a task opens at most {MAX_BULK}")
    return orders


def bulk_environment(orders: Sequence[DatasetOrder]) -> dict[str, str]:
    """Name what the app is told of the datasets; the file of one that could not be opened is missing."""
    names = {f"IEXEC_DATASET_{number}_FILENAME": order.dataset for number, order in enumerate(orders, 1)}
    return {"IEXEC_BULK_SLICE_SIZE": str(len(orders)), **names}
