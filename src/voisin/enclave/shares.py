"""Keys that several vaults keep together, put together inside the enclave: nowhere else is there a whole one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from voisin.enclave.words import Order
from voisin.errors import TrustError, VoisinError
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.ids import Address
from voisin.protocol.sessions import SessionKey, TaskSecrets, TaskShares
from voisin.protocol.shamir import is_share, join_key


def join_shares(opened: TaskSecrets, order: Order, key: SessionKey) -> TaskSecrets:
    """
    Put shared keys together with what the other keepers gave. A share that was given under other rules is not taken.

    Args:
        opened: What the task's own vault gave; its keys may be shares.
        order: The order, with what the others gave.
        key: The enclave's key for this session.

    Raises:
        TrustError: A keeper's answer is not for this enclave, or the shares do not give the dataset's key. Those of a listed dataset
            that do not are left out: the others still run.
    """
    others = [each for each in _opened(order, key) if _agrees(each, opened)]
    dataset_key = opened.dataset_key
    if is_share(dataset_key):
        joined = _joined(dataset_key, Address(order.dataset), opened.terms, others)
        if not joined:
            raise TrustError("the shares of the dataset's key do not fit together, or are too few", hint="ask the vaults that keep them")
        dataset_key = joined
    bulk = {
        entry: _joined(text, entry, opened.bulk_terms.get(entry), others) if is_share(text) else text
        for entry, text in opened.bulk_keys.items()
    }
    return replace(opened, dataset_key=dataset_key, bulk_keys={entry: text for entry, text in bulk.items() if text})


def _opened(order: Order, key: SessionKey) -> list[TaskShares]:
    return [key.open_shares(each.sealed, each.request, each.vault) for each in order.shares]


def _agrees(other: TaskShares, opened: TaskSecrets) -> bool:
    """Tell whether a keeper knows the same task as the one that made its challenge."""
    same = ("app_checksum", "dataset_checksum", "purpose")
    return all(getattr(other, name) == getattr(opened, name) for name in same)


def _joined(own: str, entry: Address, terms: DataTerms | None, others: Sequence[TaskShares]) -> str:
    given = [other.shares[entry] for other in others if entry in other.shares and other.terms.get(entry) == terms]
    try:
        return join_key(list(dict.fromkeys([own, *given])))
    except VoisinError:
        return ""
