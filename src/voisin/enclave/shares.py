"""Keys that several vaults keep together, put together inside the enclave: nowhere else is there a whole one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from voisin.enclave.words import Order
from voisin.errors import TrustError, VoisinError
from voisin.protocol.ids import Address
from voisin.protocol.sessions import SessionKey, TaskSecrets, TaskShares
from voisin.protocol.shamir import is_share, join_key


def join_shares(opened: TaskSecrets, order: Order, key: SessionKey) -> TaskSecrets:
    """
    Put shared keys together with what the other keepers gave.

    Args:
        opened: What the task's own vault gave; its keys may be shares.
        order: The order, with what the others gave.
        key: The enclave's key for this session.

    Raises:
        TrustError: A keeper's answer is not for this enclave, or the shares do not give the dataset's key. Those of a listed dataset
            that do not are left out: the others still run.
    """
    others = [key.open_shares(each.sealed, each.request, each.vault) for each in order.shares]
    dataset_key = opened.dataset_key
    if is_share(dataset_key):
        joined = _joined(dataset_key, Address(order.dataset), others)
        if not joined:
            raise TrustError("the shares of the dataset's key do not fit together, or are too few", hint="ask the vaults that keep them")
        dataset_key = joined
    bulk = {entry: _joined(text, entry, others) if is_share(text) else text for entry, text in opened.bulk_keys.items()}
    return replace(opened, dataset_key=dataset_key, bulk_keys={entry: text for entry, text in bulk.items() if text})


def _joined(own: str, entry: Address, others: Sequence[TaskShares]) -> str:
    texts = [own, *(other.shares[entry] for other in others if entry in other.shares)]
    try:
        return join_key(list(dict.fromkeys(texts)))
    except VoisinError:
        return ""
