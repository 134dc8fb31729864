"""Which pool a worker belongs to: checked at every greeting, remembered in its folder, so that no other can take its place."""

from __future__ import annotations

import anyio

from voisin.errors import InputError, StateError, TrustError
from voisin.protocol.ids import ZERO_ADDRESS, Address, as_address
from voisin.protocol.signatures import Signer
from voisin.protocol.wire import Abort, AskReveal, AskUpload, Assign, Challenge, FromPool, Release, Welcome
from voisin.worker.ports import Ledger
from voisin.worker.settings import WorkerSettings
from voisin.worker.store import Identity, WorkerFolder
from voisin.worker.vocabulary import Aborted, Assigned, Released, RevealAsked, TaskEvent, UploadAsked


class Membership:
    """
    A worker's tie to one pool on one hub.

    Args:
        settings: What the worker is told.
        signer: Its wallet.
        folder: Where it is remembered.
        ledger: The chain that the worker sees.
    """

    def __init__(self, settings: WorkerSettings, signer: Signer, *, folder: WorkerFolder, ledger: Ledger) -> None:
        self._settings = settings
        self._signer = signer
        self._folder = folder
        self._ledger = ledger
        self._known: Identity | None = None

    async def load(self) -> None:
        """
        Remember which pool it was.

        Raises:
            InputError: The record is damaged.
        """
        self._known = await anyio.to_thread.run_sync(self._folder.identity)

    @property
    def workerpool(self) -> Address:
        """The workerpool; zero before the first welcome."""
        return self._known.workerpool if self._known is not None else ZERO_ADDRESS

    @property
    def storage_url(self) -> str:
        """Where storage is; empty when nobody has said it yet."""
        return self._settings.storage_url or (self._known.storage_url if self._known is not None else "")

    @property
    def vault_url(self) -> str:
        """Where the vault is; empty when there is none, or nobody has said it yet."""
        return self._settings.vault_url or (self._known.vault_url if self._known is not None else "")

    async def approve(self, challenge: Challenge, welcome: Welcome | None) -> None:
        """
        Make sure that this is the pool that was meant, on the chain that was meant; remember it once it let the worker in.

        Args:
            challenge: How it began.
            welcome: How it answered the greeting; None before that, when nothing has been signed yet.

        Raises:
            TrustError: It is not.
            InputError: An address that it names is malformed.
        """
        workerpool = as_address(challenge.workerpool)
        if challenge.chain_id != self._ledger.chain_id:
            detail = f"the pool works on chain {challenge.chain_id}, and this worker's node on {self._ledger.chain_id}"
            raise TrustError(detail, hint="check rpc_url and pool_url")
        expected = self._expected() or workerpool
        if workerpool != expected:
            hint = "check pool_url, or use another folder"
            raise TrustError(f"the pool is {workerpool}, and this worker works for {expected}", hint=hint)
        if welcome is not None:
            await self._remember(workerpool, welcome)

    def _expected(self) -> Address | None:
        if self._settings.workerpool:
            return as_address(self._settings.workerpool)
        return self._known.workerpool if self._known is not None else None

    async def _remember(self, workerpool: Address, welcome: Welcome) -> None:
        hub = self._ledger.hub
        if as_address(welcome.hub) != hub:
            raise TrustError(f"the pool works for hub {welcome.hub}, and this worker for {hub}", hint="check the hub's address")
        identity = Identity(
            worker=self._signer.address,
            chain_id=self._ledger.chain_id,
            hub=hub,
            workerpool=workerpool,
            storage_url=welcome.storage_url,
            vault_url=welcome.vault_url,
        )
        if identity != self._known:
            await anyio.to_thread.run_sync(self._folder.keep_identity, identity)
            self._known = identity


def check_owner(folder: WorkerFolder, settings: WorkerSettings, worker: Address) -> Identity | None:
    """
    Make sure that a folder may be used by a wallet with these settings.

    Args:
        folder: The folder.
        settings: What the worker is told.
        worker: The wallet's address.

    Returns:
        Whom it belongs to; None when it is new.

    Raises:
        StateError: It belongs to another wallet.
        InputError: It belongs to another hub, or is damaged.
    """
    known = folder.identity()
    if known is not None and known.worker != worker:
        raise StateError(f"the folder {folder.folder} belongs to worker {known.worker}", hint=f"use another folder for {worker}")
    if known is not None and settings.hub and as_address(settings.hub) != known.hub:
        raise InputError(f"the folder {folder.folder} belongs to hub {known.hub}", hint="use another folder for another market")
    return known


def event_of(message: FromPool) -> TaskEvent | None:
    """Say what a message of the pool means; None for a greeting in the middle of the conversation."""
    match message:
        case Assign():
            return Assigned(message)
        case AskReveal():
            return RevealAsked(message.task_id)
        case AskUpload():
            return UploadAsked(message.task_id)
        case Abort():
            return Aborted(message.task_id, message.reason)
        case Release():
            return Released(message.task_id)
        case _:
            return None
