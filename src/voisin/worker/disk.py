"""How much disk tasks take and may still take."""

from __future__ import annotations

from voisin.protocol.ids import Hash32
from voisin.protocol.wire_words import MachineFailure
from voisin.worker.refusal import RefusalError


class Disk:
    """
    The account of one worker's disk: each task holds a share, set aside before it is used.

    Args:
        quota_bytes: What all tasks may use together.
    """

    def __init__(self, quota_bytes: int) -> None:
        self.quota_bytes = quota_bytes
        self._shares: dict[Hash32, int] = {}

    @property
    def free_bytes(self) -> int:
        """What no task holds."""
        return max(0, self.quota_bytes - sum(self._shares.values()))

    def add(self, name: Hash32, size_bytes: int) -> None:
        """
        Set more disk aside for a task.

        Args:
            name: The task, or the deal whose tasks share it.
            size_bytes: How much more [bytes].

        Raises:
            RefusalError: There is not that much.
        """
        if size_bytes > self.free_bytes:
            detail = f"{size_bytes} bytes of disk are needed, and {self.free_bytes} of {self.quota_bytes} are free"
            raise RefusalError(MachineFailure.NO_RESOURCES, detail, hint="give the worker more disk (disk_bytes)")
        self._shares[name] = self._shares.get(name, 0) + size_bytes

    def settle(self, name: Hash32, size_bytes: int) -> None:
        """Set a task's share to what it really takes [bytes]."""
        self._shares[name] = size_bytes

    def free(self, name: Hash32) -> None:
        """Take a task's share back."""
        self._shares.pop(name, None)
