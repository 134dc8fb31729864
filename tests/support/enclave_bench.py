"""One enclave without its process: an order as a worker makes it, secrets as a vault seals them, an app that is a function."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from voisin.enclave.desk import Desk
from voisin.enclave.inside import carry_out
from voisin.enclave.words import Finished, KeeperShares, Order, Program, Refused
from voisin.protocol.archive import ResultArchive, open_archive
from voisin.protocol.consent import VaultId
from voisin.protocol.data_terms import DataTerms, EnclaveLevel
from voisin.protocol.datasets import new_dataset_key, seal_dataset
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, to_hex
from voisin.protocol.results import GuestFailure, enclave_digest
from voisin.protocol.sealed_result import new_reader_pair
from voisin.protocol.sessions import SHARE_ACT, SessionKey, SessionWish, TaskSecrets, TaskShares, request_session, seal_secrets, seal_shares
from voisin.protocol.signatures import KeySigner, recover_signer
from voisin.protocol.wire_words import Stream
from voisin.units import UnixSeconds
from voisin.worker.memory_world import Guest, ScriptedRunner

TASK = TaskId(Hash32("0x" + "77" * 32))
DATASET = as_address("0x" + "d1" * 20)
VAULT = VaultId(vault=as_address("0x" + "e1" * 20), chain_id=5, hub=as_address("0x" + "e2" * 20))
CONTENT = b"one two three, nobody shall see; " * 40
MODULE = b"\0asm a module"
APP = Hash32(f"0x{hashlib.sha256(MODULE).hexdigest()}")
READER = new_reader_pair(os.urandom)
UNTIL = UnixSeconds(2**40)


def terms(**changes: Any) -> DataTerms:
    """Terms of use of the dataset, good for simulated enclaves."""
    return DataTerms(**{"dataset": DATASET, "min_enclave": EnclaveLevel.SIMULATED, **changes})


@dataclass
class EnclaveBench:
    """
    An enclave and all around it.

    Attributes:
        folder: Where its desk is.
        guest: What the app does.
        level: What enclave it is.
        told: What was told of what the app prints.
    """

    folder: Path
    guest: Guest
    level: EnclaveLevel = EnclaveLevel.SIMULATED
    told: list[tuple[Stream, bytes]] = field(default_factory=list)
    worker: KeySigner = field(default_factory=lambda: KeySigner(b"\x01" * 32))
    challenge: KeySigner = field(default_factory=lambda: KeySigner(b"\x02" * 32))
    key: SessionKey = field(default_factory=lambda: SessionKey(os.urandom))
    data_key: str = field(default_factory=lambda: new_dataset_key(os.urandom))

    @property
    def desk(self) -> Desk:
        """Where the task lies."""
        return Desk(self.folder)

    def secrets(self, **changes: Any) -> TaskSecrets:
        """What the vault gives."""
        given = TaskSecrets(challenge_key=Hash32(to_hex(self.challenge.expose_key())), dataset_key=self.data_key, app_checksum=APP)
        return replace(given, **changes)

    def order(self, secrets: TaskSecrets, **changes: Any) -> Order:
        """What the worker brings; the dataset lies on the desk."""
        wish = SessionWish(task_id=TASK, enclave=self.challenge.address, session_key=self.key.public, authorization="0x")
        request = request_session(self.worker, VAULT, wish, nonce=Hash32("0x" + "55" * 32), until=UNTIL)
        program = Program(
            module_sha256=APP[2:], args=(), env={}, time_s=10, instructions=10**9, memory_bytes=1 << 26, output_bytes=1 << 20,
            seed=b"", clock_unix_s=0,
        )  # fmt: skip
        self.desk.inputs.mkdir(exist_ok=True)
        self.desk.module.write_bytes(MODULE)
        self.lay(DATASET, self.data_key)
        given: dict[str, Any] = {"request": request, "vault": VAULT, "sealed": seal_secrets(secrets, request, VAULT), "program": program}
        return Order(**{**given, "failure": None, "dataset": DATASET, "bulk": (), "has_callback": False, **changes})

    def lay(self, entry: Address, key: str, content: bytes = CONTENT) -> Hash32:
        """Put an encrypted dataset among the inputs; answers its checksum."""
        with self.desk.input(entry).open("wb") as target:
            return seal_dataset(io.BytesIO(content), target, key, os.urandom)

    def shares(self, keeper: VaultId, shares: dict[Address, str], **changes: Any) -> KeeperShares:
        """What another vault gives of shared keys, and under which rules."""
        agreed: dict[str, Any] = {"terms": dict.fromkeys(shares, terms()), "app_checksum": APP, "dataset_checksum": "", **changes}
        wish = SessionWish(task_id=TASK, enclave=self.challenge.address, session_key=self.key.public, authorization="0x")
        request = request_session(self.worker, keeper, wish, nonce=Hash32("0x" + "56" * 32), until=UNTIL, act=SHARE_ACT)
        given = TaskShares(task_id=TASK, shares=shares, **agreed)
        return KeeperShares(request=request, vault=keeper, sealed=seal_shares(given, request, keeper))

    async def do(self, secrets: TaskSecrets, **changes: Any) -> Finished | Refused:
        """Have the task done."""
        order = self.order(secrets, **changes)
        runner = ScriptedRunner(self.guest)
        return await carry_out(
            order, self.key, self.desk, lambda: runner, level=self.level, on_output=lambda stream, data: self.told.append((stream, data))
        )

    async def finished(self, secrets: TaskSecrets, **changes: Any) -> Finished:
        """Have the task done, and see that its signature is the enclave's over the result."""
        done = await self.do(secrets, **changes)
        assert isinstance(done, Finished), done
        assert recover_signer(enclave_digest(self.worker.address, TASK, done.digest), done.signature) == self.challenge.address
        assert done.size == self.desk.result.stat().st_size
        return done

    @property
    def archive(self) -> ResultArchive:
        """The result, which is not sealed."""
        return open_archive(self.desk.result.read_bytes())

    @property
    def failure(self) -> GuestFailure | None:
        """Why the app failed, as the result says, which is not sealed."""
        return self.archive.failure()
