"""How much disk tasks take and may still take."""

from __future__ import annotations

from voisin.protocol.ids import TaskId
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
        self._shares: dict[TaskId, int] = {}

    @property
    def free_bytes(self) -> int:
        """What no task holds."""
        return max(0, self.quota_bytes - sum(self._shares.values()))

    def add(self, task_id: TaskId, size_bytes: int) -> None:
        """
        Set more disk aside for a task.

        Args:
            task_id: The task.
            size_bytes: How much more [bytes].

        Raises:
            RefusalError: There is not that much.
        """
        if size_bytes > self.free_bytes:
            detail = f"{size_bytes} bytes of disk are needed, and {self.free_bytes} of {self.quota_bytes} are free"
            raise RefusalError(MachineFailure.NO_RESOURCES, detail, hint="give the worker more disk (disk_bytes)")
        self._shares[task_id] = self._shares.get(task_id, 0) + size_bytes

    def settle(self, task_id: TaskId, size_bytes: int) -> None:
        """Set a task's share to what it really takes [bytes]."""
        self._shares[task_id] = size_bytes

    def free(self, task_id: TaskId) -> None:
        """Take a task's share back."""
        self._shares.pop(task_id, None)
