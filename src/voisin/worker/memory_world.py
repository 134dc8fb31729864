"""Storage and a sandbox in memory: twins for tests of workers."""

from __future__ import annotations

import dataclasses
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from msgspec.structs import replace

from voisin.enclave.desk import Desk
from voisin.enclave.inside import carry_out
from voisin.enclave.words import Finished, Introduce, Refused
from voisin.errors import InputError, StateError, TrustError, UnavailableError, VoisinError
from voisin.protocol.cid import Cid, cid_of
from voisin.protocol.consent import VaultId
from voisin.protocol.data_terms import Keeper
from voisin.protocol.data_use import level_of
from voisin.protocol.evidence import Evidence, SimulatedEvidence
from voisin.protocol.ids import ZERO_HASH, Address, Hash32, TaskId, to_hex
from voisin.protocol.introduction import Introduction, kind_of
from voisin.protocol.sessions import SessionKey, SessionWish, TaskSecrets, request_session, seal_secrets
from voisin.protocol.signatures import KeySigner, Signer
from voisin.protocol.wire_words import EnclaveKind, Stream
from voisin.sandbox import Job, OnOutput, Outcome, Series, ShortRun
from voisin.service.vaults import Session
from voisin.storage import ContentTooLargeError
from voisin.units import UnixSeconds
from voisin.worker.enclave.errand import Errand
from voisin.worker.ports import Runner


@dataclass
class MemoryStorage:
    """
    Storage in memory.

    Attributes:
        blobs: What it holds.
        is_silent: Whether it does not answer.
        asked: Every address that was asked for.
    """

    blobs: dict[Cid, bytes] = field(default_factory=dict)
    is_silent: bool = False
    asked: list[Cid] = field(default_factory=list)

    def add(self, data: bytes) -> Cid:
        """Hold some bytes; answers their address."""
        cid = cid_of(data)
        self.blobs[cid] = data
        return cid

    @asynccontextmanager
    async def open(self, _url: str) -> AsyncIterator[MemoryStorage]:
        """Open it, whatever its address is said to be."""
        yield self

    async def get_bytes(self, cid: Cid, *, max_bytes: int) -> bytes:
        """Fetch a blob into memory."""
        await anyio.lowlevel.checkpoint()
        self.asked.append(cid)
        if self.is_silent:
            raise UnavailableError("the storage does not answer")
        if cid not in self.blobs:
            raise StateError(f"the storage has no {cid}")
        data = self.blobs[cid]
        if len(data) > max_bytes:
            raise ContentTooLargeError(f"{cid} is larger than {max_bytes} bytes")
        if cid_of(data) != cid:
            raise TrustError(f"the storage sent something else than {cid}")
        return data

    async def get_file(self, cid: Cid, path: Path, *, max_bytes: int) -> int:
        """Fetch a blob into a file; answers its size [bytes]."""
        data = await self.get_bytes(cid, max_bytes=max_bytes)
        return await anyio.to_thread.run_sync(path.write_bytes, data)

    async def put_result(self, path: Path) -> Cid:
        """Store a result; answers its address."""
        if self.is_silent:
            raise UnavailableError("the storage does not answer")
        return self.add(await anyio.to_thread.run_sync(path.read_bytes))

    async def put_results(self, blobs: Sequence[bytes]) -> None:
        """Store several results."""
        await anyio.lowlevel.checkpoint()
        if self.is_silent:
            raise UnavailableError("the storage does not answer")
        for blob in blobs:
            self.add(blob)


Guest = Callable[[Job], Awaitable[Outcome | Mapping[str, bytes]]]
"""An app in Python: answers the files it leaves behind, or how it failed."""


@dataclass
class ScriptedRunner:
    """
    A sandbox that runs a Python function instead of a module.

    Attributes:
        guest: The function.
        jobs: Every job it was given.
        series: Every series.
        running: How many run now.
        most_running: How many ran at the same time at most.
    """

    guest: Guest
    jobs: list[Job] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    running: int = 0
    most_running: int = 0

    async def run(self, job: Job, *, on_output: OnOutput | None = None) -> Outcome:
        """Run the function and lay its files out; what it prints is told at its end."""
        self.jobs.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            answer = await self.guest(job)
        finally:
            self.running -= 1
        if isinstance(answer, Outcome):
            for stream, data in ((Stream.STDOUT, answer.stdout), (Stream.STDERR, answer.stderr)):
                if on_output is not None and data:
                    on_output(stream, data)
            return answer
        for name, data in answer.items():
            path = job.output_dir / name
            await anyio.to_thread.run_sync(lambda path=path: path.parent.mkdir(parents=True, exist_ok=True))  # type: ignore[misc]
            await anyio.to_thread.run_sync(path.write_bytes, data)
        return Outcome(cause=None, instructions=1)

    async def run_series(self, series: Series) -> list[ShortRun]:
        """Run the function for each turn."""
        self.series.append(series)
        runs = []
        for turn in series.turns:
            job = dataclasses.replace(series.job, args=turn.args, env={**series.job.env, **turn.env}, seed=turn.seed)
            answer = await self.guest(job)
            if isinstance(answer, Outcome):
                runs.append(ShortRun(outcome=answer, files={}))
            else:
                runs.append(ShortRun(outcome=Outcome(cause=None, instructions=1), files=dict(answer)))
        return runs


@dataclass
class MemoryVault:
    """
    A vault in memory for one worker: it makes challenges, and hands the same secrets to every task's enclave.

    Attributes:
        wallet: The worker's.
        vault: Which vault it says it is.
        given: The secrets; the challenge's key is the task's own.
        refusal: What it answers instead; None: it answers.
        opened: The tasks that got a session.
    """

    wallet: Signer
    vault: VaultId
    given: TaskSecrets = field(default_factory=lambda: TaskSecrets(challenge_key=ZERO_HASH))
    refusal: VoisinError | None = None
    opened: list[TaskId] = field(default_factory=list)
    keys: dict[TaskId, bytes] = field(default_factory=dict)

    def open(self, _url: str) -> MemoryVault:
        """Open it, whatever its address is said to be."""
        return self

    def key(self, task_id: TaskId) -> KeySigner:
        """Give a task's challenge."""
        return KeySigner(self.keys.setdefault(task_id, secrets.token_bytes(32)))

    async def challenge(self, task_id: TaskId) -> Address:
        """Name a task's challenge."""
        await anyio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        return self.key(task_id).address

    async def identity(self) -> VaultId:
        """Say which vault it is."""
        await anyio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        return self.vault

    async def keepers(self, _dataset: Address) -> tuple[Keeper, ...]:
        """Keep every key alone."""
        await anyio.lowlevel.checkpoint()
        return ()

    async def shares(self, wish: SessionWish) -> Session:
        """Have no shares."""
        await anyio.lowlevel.checkpoint()
        raise StateError(f"there are no shares for task {wish.task_id}")

    async def session(self, wish: SessionWish) -> Session:
        """Seal the secrets to an enclave's key."""
        await anyio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal
        key = self.key(wish.task_id)
        if key.address != wish.enclave:
            raise TrustError("that is not the task's challenge")
        nonce = Hash32(to_hex(secrets.token_bytes(32)))
        request = request_session(self.wallet, self.vault, wish, nonce=nonce, until=UnixSeconds(2**40))
        self.opened.append(wish.task_id)
        given = replace(self.given, challenge_key=Hash32(to_hex(key.expose_key())))
        return Session(request, self.vault, seal_secrets(given, request, self.vault))


@dataclass
class MemoryEnclaves:
    """
    Enclaves in this process.

    Attributes:
        runner: What runs apps.
        answers: What the next enclaves say instead of working, one each; an error is raised.
        evidence: What they show.
        introductions: To whom they introduced themselves.
    """

    runner: Runner
    answers: list[Refused | VoisinError] = field(default_factory=list)
    evidence: Evidence = field(default_factory=SimulatedEvidence)
    introductions: list[Introduce] = field(default_factory=list)

    @property
    def kind(self) -> EnclaveKind:
        """What they are, by what they show."""
        return kind_of(self.evidence)

    async def introduce(self, wanted: Introduce) -> Introduction:
        """Show what they are."""
        self.introductions.append(wanted)
        return Introduction(self.evidence, 1)

    async def run(self, errand: Errand, on_output: OnOutput) -> Finished | Refused:
        """Do a task."""
        key = SessionKey(secrets.token_bytes)
        wanted = await errand.show()
        order, files = await errand.order(key.public, [self.evidence for _ in wanted])
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, VoisinError):
                raise answer
            return answer
        with tempfile.TemporaryDirectory() as folder:
            desk = Desk(Path(folder))
            desk.inputs.mkdir()
            for source, (target, _) in zip(files, desk.places(order), strict=True):
                shutil.copyfile(source, target)
            done = await carry_out(order, key, desk, lambda: self.runner, level=level_of(self.evidence), on_output=on_output)
            if isinstance(done, Finished):
                shutil.copyfile(desk.result, errand.target)
            return done


@dataclass
class MemoryWeb:
    """
    The web in memory.

    Attributes:
        pages: What lies where.
    """

    pages: dict[str, bytes] = field(default_factory=dict)

    async def fetch(self, url: str, path: Path, *, max_bytes: int) -> int:
        """Fetch a page into a file."""
        if url not in self.pages:
            raise UnavailableError(f"{url!r} answers 404")
        if len(self.pages[url]) > max_bytes:
            raise InputError(f"{url!r} is larger than {max_bytes} bytes")
        return await anyio.to_thread.run_sync(path.write_bytes, self.pages[url])
