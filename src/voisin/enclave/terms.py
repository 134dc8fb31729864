"""
The enclave's half of terms of use: what it sees to itself, whatever the worker says.

What leaves an enclave is its result, and with it the size, the time it took, and whether the app failed. For data with terms of use, that
is all: what the app prints is in a sealed result only, its exit code and the words of its failure are dropped, and everything together
has at most as many bytes as the owner allows.

Source: `voisin.protocol.data_use`, which the vault and clients judge by, too.
"""

from __future__ import annotations

from voisin.enclave.words import Order
from voisin.errors import TrustError
from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.data_use import INSIDE, Condition, Use, broken_conditions
from voisin.protocol.ids import as_address, as_hash32
from voisin.protocol.results import GuestFailure
from voisin.protocol.sessions import TaskSecrets

FAILED = GuestFailure("app-failed", "the data's terms of use let nothing else be known")
"""What is said of an app that failed on data with terms of use: how it fails may depend on the data."""
TOO_LARGE = GuestFailure("output-limit", "the result is larger than the data's terms of use allow")


def require_app(opened: TaskSecrets, order: Order) -> None:
    """
    Require that the app is the one that the vault means.

    Raises:
        TrustError: It is another.
    """
    if order.program is not None and opened.app_checksum and opened.app_checksum != _app(order):
        raise TrustError("the worker brings another app than the deal names", hint="have another worker do the task")


def require_terms(terms: DataTerms, opened: TaskSecrets, order: Order, level: EnclaveLevel) -> None:
    """
    Require that terms of use allow what is about to be done.

    Raises:
        TrustError: They do not; every reason is named.
    """
    use = Use(
        dataset=as_address(order.dataset) if order.dataset else None,
        app=None if order.program is None else as_hash32(_app(order)),
        purpose=opened.purpose,
        enclave=level,
        has_network=False,  # the sandbox has no calls for it
    )
    broken = broken_conditions(terms, use, judged=INSIDE)
    if broken:
        raise TrustError(f"the data's terms of use refuse it: {'; '.join(each.reason for each in broken)}")


def is_too_large(terms: DataTerms | None, size_bytes: int) -> bool:
    """Tell whether more would leave the enclave than terms allow: archive, callback data and everything."""
    if terms is None:
        return False
    return bool(broken_conditions(terms, Use(output_bytes=size_bytes), judged={Condition.OUTPUT}))


def _app(order: Order) -> str:
    return "" if order.program is None else f"0x{order.program.module_sha256}"
