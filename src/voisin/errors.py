"""
The one tree of errors. It branches by who must act.

    VoisinError
    ├── InputError         the caller: what was given cannot be used
    │   └── FundsError     the caller: not enough money, says how much is missing
    ├── StateError         the caller, at another time: too early, too late, already done
    │   └── NoMatchError   no offer fits; names the nearest one and what excludes it
    ├── TrustError         nobody: a proof, signature or digest was refused
    ├── GuestError         the author of the app: time, memory, instructions, trap, exit code
    ├── UnavailableError   the world: node, service or network does not answer; trying again may help
    └── RevertError        the chain refused; carries the contract's reason

A subclass that needs a name of its own for programs sets `code`; `hint` says what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class VoisinError(Exception):
    """
    Something Voisin cannot do, said so that a person and a program can both act on it.

    Attributes:
        code: Stable kebab-case name for programs; the last part of the problem's type on the wire.
        message: What went wrong, in one sentence without a final full stop.
        hint: What to do about it; empty when nothing can be done.
        retryable: Whether the same call may succeed later without any change.
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class InputError(VoisinError):
    """What the caller gave cannot be used."""

    code = "bad-input"


class FundsError(InputError):
    """An account holds too little for what was asked."""

    code = "missing-funds"


class StateError(VoisinError):
    """The thing asked for is in another state: too early, too late, or already done."""

    code = "wrong-state"


class NoMatchError(StateError):
    """No offer fits the request; the message names the nearest one and the condition that excludes it."""

    code = "no-match"


class TrustError(VoisinError):
    """A signature, digest or other proof was refused."""

    code = "not-proven"


class GuestError(VoisinError):
    """The app itself failed; `message` names the cause."""

    code = "app-failed"


class UnavailableError(VoisinError):
    """A node, a service or the network did not answer; the same call may succeed later."""

    code = "unavailable"
    retryable = True


class RevertError(VoisinError):
    """
    A contract refused the call.

    Attributes:
        reason: The contract's own words; empty when it gave none.
        data: Raw revert data.
    """

    code = "reverted"

    def __init__(self, message: str, *, reason: str = "", data: bytes = b"", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.data = data
