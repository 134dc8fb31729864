"""
Results: downloaded, and held against the digest on which the workers agreed, before anybody sees them.

The chain says where a result lies and what it must hash to; whoever stores it is not trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from voisin.chain import Chain
from voisin.client.keys import ReaderKeys
from voisin.client.shelf import Opened, Shelf, Wanted
from voisin.errors import GuestError, InputError, StateError, TrustError
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.cid import Cid, parse_cid
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId
from voisin.protocol.records import Deal, Task, TaskStatus
from voisin.protocol.results import SALT_FILE, STDERR_FILE, STDOUT_FILE, decode_link
from voisin.protocol.sealed_result import PRIVATE_MARK, is_held_result, is_sealed_result, open_held_result, open_sealed_result
from voisin.protocol.sealing import is_sealed, open_sealed
from voisin.storage import StorageClient
from voisin.units import NRLC

MAX_ARCHIVE_BYTES = 1 << 30


class ResultFiles(Mapping[str, bytes]):
    """The files of a result by path, without the salt of its digest; each is unpacked when it is looked at."""

    def __init__(self, archive: ResultArchive) -> None:
        """
        Args:
            archive: The checked archive.
        """
        self._archive = archive
        self._sizes = {path: size for path, size in archive.sizes.items() if path != SALT_FILE}

    def __getitem__(self, path: str) -> bytes:
        if path not in self._sizes:
            raise KeyError(path)
        return self._archive.read(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __repr__(self) -> str:
        return f"ResultFiles({', '.join(f'{path}: {size} bytes' for path, size in self._sizes.items())})"


@dataclass(frozen=True, kw_only=True)
class Result:
    """
    What one task gave, verified.

    Attributes:
        deal_id: The deal.
        task_id: The task.
        index: Its place in the order of what was asked for.
        workers: The workers that agreed on this result.
        price: What the task cost [nRLC].
        cid: Where the archive lies.
        digest: The digest that the files were held against: the chain's, or that of a bag which is not settled yet.
        archive: The ZIP file itself, opened if it was sealed.
    """

    deal_id: DealId
    task_id: TaskId
    index: int
    workers: tuple[Address, ...]
    price: NRLC
    cid: Cid
    digest: Hash32
    archive: bytes = field(repr=False)
    _open: ResultArchive = field(repr=False)

    @property
    def files(self) -> ResultFiles:
        """The files that the app wrote, by path, with its standard output as `stdout.txt`."""
        return ResultFiles(self._open)

    @property
    def stdout(self) -> str:
        """What the app printed."""
        return self._text(STDOUT_FILE)

    @property
    def stderr(self) -> str:
        """What the app printed on standard error."""
        return self._text(STDERR_FILE)

    def save(self, folder: str | Path) -> list[Path]:
        """
        Write the files into a folder, which is made if it does not exist; files of the same names are replaced.

        Args:
            folder: Where to.

        Returns:
            The written files.
        """
        written = []
        for name in self.files:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as target:
                target.writelines(self._open.chunks(name))
            written.append(path)
        return written

    def _text(self, name: str) -> str:
        return self.files[name].decode(errors="replace") if name in self.files else ""


class AppFailedError(GuestError):
    """
    The app itself failed; all its workers agree on that.

    Attributes:
        result: What it left behind: `error.json`, and what it printed.
        cause: Why, as a program reads it, for example `out-of-time`.
        detail: The particulars.
    """

    def __init__(self, result: Result, cause: str, detail: str) -> None:
        printed = result.stderr.strip().splitlines()
        hint = f"its last line of standard error was {printed[-1][:200]!r}" if printed else "the result holds what it printed"
        super().__init__(f"the app failed in task {result.index}: {cause}{f' ({detail})' if detail else ''}", hint=hint)
        self.result = result
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A task that is over, as its deal knows it: `index` counts over the request, `place` over what was asked for."""

    deal_id: DealId
    deal: Deal
    task_id: TaskId
    place: int
    workers: tuple[Address, ...]
    price: NRLC


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a result lies, and what it must hash to."""

    cid: Cid
    digest: Hash32

    @classmethod
    def told(cls, results: bytes, digest: Hash32) -> Stored:
        """
        Read what the chain says of a completed task.

        Args:
            results: The task's `results`, which say where the result is.
            digest: Its digest.

        Raises:
            InputError: They name no content.
        """
        return cls(parse_cid(decode_link(results)), digest)


async def fetch_result(chain: Chain, storage: StorageClient, finished: Finished, keys: ReaderKeys | None = None) -> Result:
    """
    Download the result of a completed task and verify it.

    Args:
        chain: The chain, which says where the result is and what it hashes to.
        storage: Where results lie.
        finished: The task.
        keys: The private keys that open a sealed result; without them it stays sealed.

    Raises:
        AppFailedError: The app failed; the error carries the result.
        InputError: The result is sealed for a reader whose key is not here.
        StateError: The result waits for a release by the data's owner; or the task is not completed; the message says what it is.
        TrustError: The stored result is not the one that was agreed.
        UnavailableError: Storage does not answer, or has lost the result.
    """
    task = await chain.hub.task(finished.task_id)
    require_completed(finished.task_id, task)
    return await open_result(storage, finished, Stored.told(task.results, task.result_digest), keys)


async def open_result(
    storage: StorageClient, finished: Finished, stored: Stored, keys: ReaderKeys | None = None, *, shelf: Shelf | None = None
) -> Result:
    """
    Download a result and hold it against its digest.

    Args:
        storage: Where results lie.
        finished: The task.
        stored: Where the result lies, and its digest.
        keys: As in `fetch_result`.
        shelf: Results that were fetched before; None to fetch it in any case.

    Raises:
        As `fetch_result`, but for `StateError`.
    """
    reader = finished.deal.requester if finished.deal.beneficiary == ZERO_ADDRESS else finished.deal.beneficiary
    wanted = Wanted(stored.cid, stored.digest, finished.deal.callback != ZERO_ADDRESS, reader)

    async def fetch() -> Opened:
        data = await storage.get_bytes(wanted.cid, max_bytes=MAX_ARCHIVE_BYTES)
        if is_held_result(data):
            data = await _released(data, finished.task_id, keys)
        data = await anyio.to_thread.run_sync(_unsealed, data, finished.task_id, reader, keys)
        return Opened(data, await anyio.to_thread.run_sync(_verified, data, wanted.digest, wanted.has_callback))

    opened = await (shelf.get(wanted, fetch) if shelf is not None else fetch())
    result = Result(
        deal_id=finished.deal_id,
        task_id=finished.task_id,
        index=finished.place,
        workers=finished.workers,
        price=finished.price,
        cid=stored.cid,
        digest=stored.digest,
        archive=opened.data,
        _open=opened.archive,
    )
    if (failure := opened.archive.failure()) is not None:
        raise AppFailedError(result, failure.cause, failure.detail)
    return result


def require_completed(task_id: TaskId, task: Task) -> None:
    """
    Refuse a task that has no result.

    Raises:
        StateError: The task is not completed; the message says what it is.
    """
    if task.status is TaskStatus.COMPLETED:
        return
    if task.status is TaskStatus.FAILED:
        hint = "run it again; `voisin task show` tells what the pool knows about it"
        raise StateError(f"task {task_id} was not done and its price was refunded", hint=hint)
    raise StateError(
        f"task {task_id} has no result yet: it is {task.status.name.lower()}", hint="wait for it, or claim it after its deadline"
    )


async def _released(data: bytes, task_id: TaskId, keys: ReaderKeys | None) -> bytes:
    """Open a result that waited for a release, with the key that the vault gives now; it refuses as long as the result waits."""
    if keys is None or keys.ask is None:
        raise InputError("the result is sealed until the data's owner releases it", hint="open it with the wallet that it is for")
    key = await keys.ask(task_id)
    return await anyio.to_thread.run_sync(open_held_result, data, key)


def _unsealed(data: bytes, task_id: TaskId, reader: Address, keys: ReaderKeys | None) -> bytes:
    """Open a sealed result with the first key that fits; what is inside is held against the chain afterwards, as ever."""
    is_ours = is_sealed_result(data)
    try:
        if not is_ours and not is_sealed(data):
            return data
    except InputError:
        return data  # whoever verifies it says what is wrong with it
    held = keys.private(reader) if keys is not None else []
    for key in held:
        if key.startswith(PRIVATE_MARK) is not is_ours:
            continue
        try:
            return open_sealed_result(data, key, task_id) if is_ours else open_sealed(data, key)
        except TrustError:
            continue
    what = "none of the keys here opens it" if held else "its key is not here"
    raise InputError(f"the result is sealed for {reader}, and {what}", hint="open it in the home folder where the key was made")


def _verified(data: bytes, digest: Hash32, has_callback: bool) -> ResultArchive:
    try:
        archive = open_archive(data)
    except InputError as error:
        raise TrustError(f"what is stored as the result is none: {error.message}") from None
    archive.require_digest(digest, has_callback=has_callback)
    return archive
