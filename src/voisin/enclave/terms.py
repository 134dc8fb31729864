"""
The enclave's half of terms of use: what it sees to itself, whatever the worker says.

What leaves an enclave is its result, and with it the size, the time it took, and whether the app failed. For data with terms of use, that
is all: what the app prints is in a sealed result only, its exit code and the words of its failure are dropped, and everything together
has at most as many bytes as the owner allows.

Source: `voisin.protocol.data_use`, which the vault and clients judge by, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from voisin.enclave.words import Order
from voisin.errors import TrustError
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.data_use import INSIDE, Condition, Use, broken_conditions
from voisin.protocol.ids import as_address, as_hash32
from voisin.protocol.release_rules import ReleaseRule, why_held
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


def require_no_callback(opened: TaskSecrets, order: Order) -> None:
    """
    Require that nothing of a sealed result is handed out as a callback's data: deals with a callback have none sealed.

    Raises:
        TrustError: The worker asks for it.
    """
    if opened.beneficiary_key and order.has_callback:
        raise TrustError("the worker asks for a callback's data, and the result is for its reader alone", hint="have another worker do it")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """
    What the terms of all data of a task ask of the enclave, taken together.

    Attributes:
        is_bound: Whether any data has terms: then nothing of the run is told but its result.
        max_output_bytes: Most that may leave [bytes]; 0 for what the task allows.
        query_micro: Epsilon that answers may reveal [1e-6]; 0 for plain answers.
        release: Which results go to their reader although the owner does not look; None for none of those that wait.
    """

    is_bound: bool = False
    max_output_bytes: int = 0
    query_micro: int = 0
    release: ReleaseRule | None = None

    def is_too_large(self, size_bytes: int) -> bool:
        """Tell whether something is larger than what may leave."""
        return bool(self.max_output_bytes) and size_bytes > self.max_output_bytes

    def lets_pass(self, result: ResultArchive) -> bool:
        """Tell whether the owner's rule releases a result. A failure says no more than that, and would tell the owner nothing."""
        return self.release is not None and (result.failure() is not None or not why_held(self.release, result))


def after_review(opened: TaskSecrets, rules: Rules, archive: Path) -> TaskSecrets:
    """Give the secrets with which a result is sealed: without the key under which it would wait, where the owner's rule releases it."""
    if not opened.hold_key or rules.release is None:
        return opened
    with archive.open("rb") as file:
        return replace(opened, hold_key="") if rules.lets_pass(open_archive(file)) else opened


def rules_of(opened: TaskSecrets, order: Order, level: EnclaveLevel) -> tuple[Rules, TaskSecrets]:
    """
    Hold terms of use against what is about to be done.

    Returns:
        The rules for the run, and the secrets without the keys of listed datasets whose terms refuse it: the others still run.

    Raises:
        TrustError: The terms of the deal's own dataset refuse it; every reason is named.
    """
    found = [] if opened.terms is None else [opened.terms]
    reasons = [reason for terms in found for reason in _broken(terms, opened, order, dataset=order.dataset, level=level)]
    if opened.hold_key and order.has_callback:
        reasons.append("the result waits for a release, and a callback would tell it at once")
    if reasons:
        raise TrustError(f"the data's terms of use refuse it: {'; '.join(reasons)}")
    keys = dict(opened.bulk_keys)
    for entry, terms in opened.bulk_terms.items():
        if _broken(terms, opened, order, dataset=entry, level=level):
            keys.pop(entry, None)
        elif entry in keys:
            found.append(terms)
    sizes = [terms.max_output_bytes for terms in found if terms.max_output_bytes]
    budgets = [terms.privacy.query_micro for terms in found if terms.privacy is not None]
    rules = Rules(
        is_bound=bool(found),
        max_output_bytes=min(sizes, default=0),
        query_micro=min(budgets, default=0),
        release=None if opened.terms is None else opened.terms.release_rule,
    )
    return rules, replace(opened, bulk_keys=keys)


def _broken(terms: DataTerms, opened: TaskSecrets, order: Order, *, dataset: str, level: EnclaveLevel) -> list[str]:
    use = Use(
        dataset=as_address(dataset) if dataset else None,
        app=None if order.program is None else as_hash32(_app(order)),
        purpose=opened.purpose,
        enclave=level,
        has_network=False,  # the sandbox has no calls for it
    )
    judged = INSIDE if order.program is not None else INSIDE - {Condition.APPS}
    return [each.reason for each in broken_conditions(terms, use, judged=judged)]


def _app(order: Order) -> str:
    return "" if order.program is None else f"0x{order.program.module_sha256}"
