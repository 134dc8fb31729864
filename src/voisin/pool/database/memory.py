"""A pool's records and claims in memory, for tests and simulations: there is one scheduler, and nothing survives the process."""

# ruff: noqa: ARG002  a twin is asked what a database is asked, and needs less

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from voisin.errors import StateError
from voisin.pool.bags.memory import MemoryBagStore
from voisin.pool.database.claims import Company, Lease, Peer
from voisin.pool.database.logs import AppLog
from voisin.pool.heart.records import ENDS, Changes, DealRecord, Position, Snapshot, Taken, TaskFile, TaskRecord
from voisin.protocol.ids import Address, DealId, Hash32, TaskId
from voisin.units import UnixSeconds


class MemoryStore:
    """Records in memory, for tests and simulations; see `PoolStore`."""

    def __init__(self, start_block: int = 0) -> None:
        """
        Args:
            start_block: Where the hub's history starts.
        """
        self._position = Position(start_block)
        self._all = Changes()
        self._logs: dict[tuple[TaskId, Address], AppLog] = {}
        self._nonces: dict[tuple[Address, Hash32], UnixSeconds] = {}
        self.claims = SoleClaims(self)
        self.bags = MemoryBagStore(self.claims.forget)

    async def load(self, *, with_deals: bool = True) -> Snapshot:
        """Give everything that is not at an end, or only the place on the chain and the workers."""
        if not with_deals:
            return Snapshot(position=self._position, workers=tuple(self._all.workers.values()))
        tasks = [self._file(task) for task in self._all.tasks.values() if task.phase not in ENDS]
        open_deals = {file.task.deal_id for file in tasks}
        found = [*self.bags.unfinished(), *(deal for deal in self._all.deals.values() if deal.deal_id in open_deals)]
        deals = sorted(found, key=lambda deal: deal.seq)
        return Snapshot(
            position=self._position,
            deals=tuple(deals),
            tasks=tuple(tasks),
            workers=tuple(self._all.workers.values()),
        )

    async def save(self, changes: Changes, position: Position | None, lease: Lease | None = None) -> set[DealId]:
        """Remember changes; there is nobody who could have taken a deal over."""
        self._all.deals |= changes.deals
        self._all.tasks |= changes.tasks
        self._all.replicas |= changes.replicas
        self._all.workers |= changes.workers
        self._all.story += changes.story
        self._position = position or self._position
        self.claims.forget(changes.over)
        return set()

    def ended(self, deal_id: DealId) -> frozenset[int]:
        """List the tasks of a deal that are at an end, by index."""
        return frozenset(task.index for task in self._all.tasks.values() if task.deal_id == deal_id and task.phase in ENDS)

    async def task(self, task_id: TaskId) -> TaskFile | None:
        """Find a task, whatever its phase."""
        found = self._all.tasks.get(task_id)
        return None if found is None else self._file(found)

    async def deal(self, deal_id: DealId) -> list[TaskFile]:
        """List the tasks of a deal by index."""
        found: Sequence[TaskRecord] = [task for task in self._all.tasks.values() if task.deal_id == deal_id]
        return [self._file(task) for task in sorted(found, key=lambda task: task.index)]

    async def deal_record(self, deal_id: DealId) -> DealRecord | None:
        """Find a deal, whatever became of its tasks."""
        return self._all.deals.get(deal_id)

    async def save_logs(self, logs: Iterable[AppLog]) -> None:
        """Keep logs."""
        self._logs |= {(log.task_id, log.worker): log for log in logs}

    async def logs(self, task_id: TaskId) -> list[AppLog]:
        """List what was printed for a task, by worker."""
        return [log for (task, _), log in sorted(self._logs.items()) if task == task_id]

    async def use_nonce(self, signer: Address, nonce: Hash32, until: UnixSeconds) -> bool:
        """Remember a signature's nonce."""
        is_new = (signer, nonce) not in self._nonces
        self._nonces[signer, nonce] = until
        return is_new

    async def forget_logs(self, now: UnixSeconds) -> None:
        """Forget logs that have expired, and nonces of signatures that count no more."""
        self._nonces = {key: until for key, until in self._nonces.items() if until > now}
        self._logs = {key: log for key, log in self._logs.items() if log.expires_at > now}

    def _file(self, task: TaskRecord) -> TaskFile:
        replicas = [replica for (task_id, _), replica in self._all.replicas.items() if task_id == task.task_id]
        story = [line for line in self._all.story if line.task_id == task.task_id]
        return TaskFile(task=task, replicas=tuple(replicas), story=tuple(story))


class SoleClaims:
    """The claims of a scheduler that has no others beside it; see `voisin.pool.database.claims.Claims`."""

    def __init__(self, store: MemoryStore) -> None:
        """
        Args:
            store: The records, from which each new session takes what is open.
        """
        self._store = store
        self._session = 0
        self._held: dict[DealId, int] = {}
        self.is_draining = False
        self.is_sole = True

    def forget(self, deals: Collection[DealId]) -> None:
        """Hold deals no more that are over."""
        for deal in deals:
            self._held.pop(deal, None)

    async def join(self, name: str, lease_s: float) -> int:
        """Begin a session; what the one before held is free."""
        self._session += 1
        self._held = {}
        return self._session

    async def renew(self, session: int, url: str, lease_s: float) -> Company:
        """Renew a lease."""
        if session != self._session:
            raise StateError("another process took this scheduler's name", hint="give each its own: VOISIN_POOL_SCHEDULER")
        return Company(peers=(Peer(session, "main", url),), held=dict(self._held), leads=True, is_draining=self.is_draining)

    async def find(self, session: int, deals: Sequence[DealRecord], wanted: Collection[DealId]) -> dict[DealId, int]:
        """Take all deals."""
        self._store.bags.begin(deal for deal in deals if deal.is_bag)
        self._held |= {deal.deal_id: session for deal in deals}
        return {deal.deal_id: session for deal in deals}

    async def take(self, session: int) -> list[Taken]:
        """Take everything that is open, and not held yet."""
        snapshot = await self._store.load()
        free = [deal for deal in snapshot.deals if deal.deal_id not in self._held]
        self._held |= {deal.deal_id: session for deal in free}
        files = {deal.deal_id: [file for file in snapshot.tasks if file.task.deal_id == deal.deal_id] for deal in free}
        ended = {deal.deal_id: self._store.ended(deal.deal_id) for deal in free}
        block = snapshot.position.next_block
        return [
            Taken(deal=deal, epoch=session, from_block=block, tasks=tuple(files[deal.deal_id]), ended=ended[deal.deal_id]) for deal in free
        ]

    async def leave(self, session: int, next_block: int) -> None:
        """End the session."""
        self._held = {}

    async def drain(self, *, is_draining: bool) -> None:
        """Have the pool take no new deals, or take them again."""
        self.is_draining = is_draining
