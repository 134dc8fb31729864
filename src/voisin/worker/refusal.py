"""Why this machine does not do a task."""

from __future__ import annotations

from voisin.errors import VoisinError
from voisin.protocol.wire_words import MachineFailure


class RefusalError(VoisinError):
    """
    A task cannot be done here; nothing of it is on the chain.

    Attributes:
        failure: What the pool is told.
    """

    code = "task-refused"

    def __init__(self, failure: MachineFailure, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.failure = failure
