"""What the life of a task makes of the records."""

from __future__ import annotations

from voisin.index.draft import Row, Value
from voisin.index.poco import CONTRIBUTION_STATUSES, TASK_STATUSES
from voisin.index.scene import Scene
from voisin.protocol.events import (
    ConsensusReached,
    TaskClaimed,
    TaskContributed,
    TaskFinalized,
    TaskInitialized,
    TaskReopened,
    TaskRevealed,
)
from voisin.protocol.ids import Address, TaskId, to_hex
from voisin.protocol.records import ContributionStatus, TaskStatus
from voisin.protocol.rules import REVEAL_DEADLINE_RATIO

TaskEvent = TaskInitialized | TaskContributed | ConsensusReached | TaskRevealed | TaskReopened | TaskFinalized | TaskClaimed


def contribution_id(task: TaskId, worker: Address) -> str:
    """Name a worker's contribution to a task."""
    return f"{task}-{worker.lower()}"


def task_goes_on(scene: Scene, event: TaskEvent) -> None:
    """Record an event of a task."""
    match event:
        case TaskInitialized(task, workerpool):
            _begin(scene, task)
            scene.event("TaskInitialize", task=task, workerpool=workerpool.lower())
        case TaskContributed(task, worker, result_hash):
            _contribute(scene, task, worker)
            scene.event("TaskContribute", task=task, worker=worker.lower(), hash=result_hash)
        case ConsensusReached(task, consensus):
            _change(scene, task, status=_named(TaskStatus.REVEALING), consensus=consensus, revealDeadline=_reveal_deadline(scene, task))
            scene.event("TaskConsensus", task=task, consensus=consensus)
        case TaskRevealed(task, worker, digest):
            _change(scene, task, status=_named(TaskStatus.REVEALING), resultDigest=digest)
            _change_contribution(scene, contribution_id(task, worker), ContributionStatus.PROVED)
            scene.event("TaskReveal", task=task, worker=worker.lower(), digest=digest)
        case TaskReopened(task):
            _reject_winners(scene, task)
            _change(scene, task, status=_named(TaskStatus.ACTIVE), consensus=None, revealDeadline=None)
            scene.event("TaskReopen", task=task)
        case TaskFinalized(task, results):
            callback = to_hex(scene.facts.tasks[task].results_callback)
            _change(scene, task, status=_named(TaskStatus.COMPLETED), results=to_hex(results), resultsCallback=callback)
            _count(scene, task, "completedTasksCount")
            scene.event("TaskFinalize", task=task, results=to_hex(results))
        case TaskClaimed(task):
            _change(scene, task, status=_named(TaskStatus.FAILED))
            _count(scene, task, "claimedTasksCount")
            scene.event("TaskClaimed", task=task)


def _named(status: TaskStatus) -> str:
    return TASK_STATUSES[status]


def _begin(scene: Scene, task_id: TaskId) -> None:
    task = scene.facts.tasks[task_id]
    deal = scene.draft.find("Deal", task.deal_id)
    row: Row = {
        "status": _named(TaskStatus.ACTIVE),
        "deal": task.deal_id,
        "index": task.index,
        "requester": "" if deal is None else deal["requester"],
        "contributions": (),
        **dict.fromkeys(("consensus", "resultDigest", "results", "resultsCallback", "revealDeadline")),
        "contributionDeadline": task.contribution_deadline,
        "finalDeadline": task.final_deadline,
        "timestamp": scene.time,
    }
    scene.draft.put("Task", task_id, row)


def _change(scene: Scene, task: TaskId, **changes: Value) -> None:
    """Let a task go on; a task that began before the records do is left alone."""
    row = scene.draft.find("Task", task)
    if row is not None:
        scene.draft.put("Task", task, row | changes | {"timestamp": scene.time})


def _contribute(scene: Scene, task: TaskId, worker: Address) -> None:
    found = scene.facts.contributions[task, worker]
    name = contribution_id(task, worker)
    row: Row = {
        "status": CONTRIBUTION_STATUSES[ContributionStatus.CONTRIBUTED],
        "timestamp": scene.time,
        "task": task,
        "worker": scene.account(worker),
        "hash": found.result_hash,
        "seal": found.result_seal,
        "challenge": found.enclave_challenge.lower(),
    }
    scene.draft.put("Contribution", name, row)
    known = scene.draft.find("Task", task)
    if known is not None:
        listed = known["contributions"]
        assert isinstance(listed, tuple)
        _change(scene, task, contributions=(*listed, name))


def _change_contribution(scene: Scene, name: str, status: ContributionStatus) -> None:
    row = scene.draft.find("Contribution", name)
    if row is not None:
        scene.draft.put("Contribution", name, row | {"status": CONTRIBUTION_STATUSES[status]})


def _reject_winners(scene: Scene, task: TaskId) -> None:
    """Nobody of those who agreed has revealed: the hub takes none of them again."""
    row = scene.draft.find("Task", task)
    listed = () if row is None else row["contributions"]
    assert isinstance(listed, tuple)
    for name in listed:
        contribution = scene.draft.find("Contribution", name)
        if row is not None and contribution is not None and contribution["hash"] == row["consensus"]:
            _change_contribution(scene, name, ContributionStatus.REJECTED)


def _reveal_deadline(scene: Scene, task: TaskId) -> Value:
    row = scene.draft.find("Task", task)
    deal = None if row is None else scene.draft.find("Deal", str(row["deal"]))
    category = None if deal is None else scene.draft.find("Category", str(deal["category"]))
    if category is None:
        return None
    unit = category["workClockTimeRef"]
    assert isinstance(unit, int)
    return scene.time + REVEAL_DEADLINE_RATIO * unit


def _count(scene: Scene, task: TaskId, total: str) -> None:
    row = scene.draft.find("Task", task)
    if row is None:
        return
    deal = scene.draft.find("Deal", str(row["deal"]))
    if deal is not None:
        scene.draft.put("Deal", str(row["deal"]), deal | {total: scene.sum_of(deal[total], 1)})
    scene.count(**{total: 1})
