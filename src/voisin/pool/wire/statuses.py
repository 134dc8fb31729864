"""
A task and its replicas in the words of the ecosystem's schedulers, made from our own story of them.

Our phases are fewer: what the original calls by several names in a row happens here in one step, and gets one date.

Source: pool-semantics.md 1.2, 1.3; client-surface.md 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from voisin.pool.heart.records import Outcome, Phase, ReplicaRecord, StoryLine, TaskFile
from voisin.protocol.api import Moment
from voisin.protocol.wire_words import EnclaveKind

Dated = tuple[str, int]
"""A status and when it was reached [Unix s]."""

TASK_STATUSES: Final[dict[str, tuple[str, ...]]] = {
    "the deal was made": ("RECEIVED",),
    "opened on the chain": ("INITIALIZING", "INITIALIZED"),
    "agreed": ("CONSENSUS_REACHED",),
    "reopened": ("REOPENING", "REOPENED", "INITIALIZED"),
    "completed and paid": ("FINALIZED", "COMPLETED"),
    "given up": ("FAILED",),
    "given back": ("FAILED",),
    "claimed": ("FINAL_DEADLINE_REACHED", "FAILED"),
}
"""What lines about a task as a whole mean."""

TASK_STATUSES_BY_WORKERS: Final[dict[str, str]] = {
    "assigned": "RUNNING",
    "revealed": "AT_LEAST_ONE_REVEALED",
    "asked to upload": "RESULT_UPLOADING",
    "uploaded": "RESULT_UPLOADED",
}
"""What the first line of a kind about any worker means for the task."""

REPLICA_STATUSES: Final[dict[str, tuple[str, ...]]] = {
    "assigned": ("CREATED", "STARTING"),
    "fetching": ("STARTED", "APP_DOWNLOADING"),
    "computing": ("APP_DOWNLOADED", "DATA_DOWNLOADING", "DATA_DOWNLOADED", "COMPUTING"),
    "computed": ("COMPUTED",),
    "contributed": ("CONTRIBUTED",),
    "revealed": ("REVEALED",),
    "asked to upload": ("RESULT_UPLOAD_REQUESTED",),
    "uploaded": ("RESULT_UPLOADED",),
    "came back with it": ("RECOVERING",),
    "failed": ("FAILED",),
    "lost": ("WORKER_LOST",),
    "stopped": ("ABORTED",),
    "did not upload in time": ("RESULT_UPLOAD_FAILED",),
    "its upload was refused": ("RESULT_UPLOAD_FAILED",),
}
"""What lines about a worker mean for its replica."""

_DIRECT = {
    "contributed": ("CONTRIBUTE_AND_FINALIZE_DONE",),
    "revealed": (),
}
_CONSENSUS = frozenset({"CONSENSUS_REACHED", "AT_LEAST_ONE_REVEALED"})


def is_direct(file: TaskFile) -> bool:
    """Tell whether one worker contributed and finalised a task at once."""
    return (
        file.task.enclave is not EnclaveKind.NONE
        and file.task.phase is Phase.COMPLETED
        and all(line.moment.what != "asked to upload" for line in file.story)
    )


def task_history(file: TaskFile) -> list[Dated]:
    """List the statuses of a task with their dates, oldest first."""
    direct, found, seen = is_direct(file), list[Dated](), set[str]()
    for line in file.story:
        what, at = line.moment.what, line.moment.at
        if line.worker and (status := TASK_STATUSES_BY_WORKERS.get(what)) is not None and status not in seen:
            seen.add(status)
            found.append((status, at))
        elif not line.worker:
            found += [(status, at) for status in TASK_STATUSES.get(what, ())]
    kept = [dated for dated in found if not (direct and dated[0] in _CONSENSUS)]
    return [dated for place, dated in enumerate(kept) if not place or dated[0] != kept[place - 1][0]]


def replica_history(file: TaskFile, replica: ReplicaRecord) -> list[tuple[str, Moment]]:
    """List the statuses of a replica, each with the line of the story that it comes from, oldest first."""
    words = REPLICA_STATUSES | _DIRECT if is_direct(file) else REPLICA_STATUSES
    own = [line for line in file.story if line.worker == replica.worker]
    found = [(status, line.moment) for line in own for status in words.get(line.moment.what, ())]
    end = _end(replica, file.story)
    return found if end is None else [*found, end]


def _end(replica: ReplicaRecord, story: Sequence[StoryLine]) -> tuple[str, Moment] | None:
    """Give the end of a replica that its own lines do not tell: its task was completed, or it was fined."""
    if replica.outcome not in (Outcome.PROVED, Outcome.FAULTY):
        return None
    last = _last(line for line in story if line.moment.what == "completed and paid")
    return None if last is None else ("COMPLETED" if replica.outcome is Outcome.PROVED else "FAILED", last)


def _last(lines: Iterable[StoryLine]) -> Moment | None:
    return next((line.moment for line in reversed(list(lines))), None)
