"""A vault in memory with everybody who deals with it: owners, a requester, a scheduler, workers, an enclave deal and its task."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec
from eth_utils import keccak

from voisin.protocol.consent import Consent, give_consent
from voisin.protocol.ids import ZERO_ADDRESS, Address, DealId, Hash32, TaskId, as_address, task_id, to_hex
from voisin.protocol.orders import OrderKind
from voisin.protocol.params import DealParams, encode_params
from voisin.protocol.records import Deal, Resource
from voisin.protocol.results import sign_authorization
from voisin.protocol.rules import new_task
from voisin.protocol.secrets import SecretKind, SecretRef
from voisin.protocol.sessions import CHALLENGE_ACT, SessionKey, SessionRequest, SessionWish, challenge_lines, request_session
from voisin.protocol.signatures import KeySigner
from voisin.protocol.tags import as_tag
from voisin.units import NRLC, UnixSeconds
from voisin.vault.service import VaultService
from voisin.vault.settings import VaultSettings
from voisin.vault.twin import TwinLedger, twin_vault

START: Final = 1_800_000_000
TIME_REF_S: Final = 300
APP: Final = as_address("0x" + "a1" * 20)
DATASET: Final = as_address("0x" + "d1" * 20)
POOL: Final = as_address("0x" + "e1" * 20)
DATASET_KEY: Final = SecretRef(SecretKind.DATASET, DATASET)
APP_SECRET: Final = SecretRef(SecretKind.APP, APP)


def wallet(name: str) -> KeySigner:
    """Give the wallet of a role; two of one name are the same."""
    return KeySigner(keccak(f"voisin vault test: {name}".encode()))


def fresh_nonce() -> Hash32:
    """Draw a nonce."""
    return Hash32(to_hex(secrets.token_bytes(32)))


@dataclass
class Scene:
    """
    A vault in memory, and who deals with it.

    Attributes:
        vault: The vault.
        ledger: What it knows of the chain.
        now: What its clock shows [Unix s].
    """

    vault: VaultService
    ledger: TwinLedger
    now: list[float]
    app_owner: KeySigner = field(default_factory=lambda: wallet("app owner"))
    dataset_owner: KeySigner = field(default_factory=lambda: wallet("dataset owner"))
    requester: KeySigner = field(default_factory=lambda: wallet("requester"))
    beneficiary: KeySigner = field(default_factory=lambda: wallet("beneficiary"))
    scheduler: KeySigner = field(default_factory=lambda: wallet("scheduler"))
    worker: KeySigner = field(default_factory=lambda: wallet("worker"))
    stranger: KeySigner = field(default_factory=lambda: wallet("stranger"))

    def deal(self, *, tag: str = "tee,tdx", dataset: Address = DATASET, params: DealParams | None = None, index: int = 0) -> TaskId:
        """Add a deal with one open task; gives the task."""
        made = make_deal(self, tag, dataset, encode_params(params or DealParams()))
        name = DealId(Hash32(to_hex(keccak(msgspec.json.encode(made)))))
        task = task_id(name, index)
        self.ledger.deals[name] = made
        self.ledger.tasks[task] = new_task(name, index, made, TIME_REF_S)
        return task

    def consent(self, signer: KeySigner, act: str, about: dict[str, str], *, ttl_s: int = 60) -> Consent:
        """Sign an act for this vault."""
        until = UnixSeconds(int(self.now[0]) + ttl_s)
        return give_consent(signer, self.vault.id, act, about, nonce=fresh_nonce(), until=until)

    async def challenge(self, task: TaskId) -> Address:
        """Ask for a task's challenge as its scheduler."""
        return (await self.vault.sessions.challenge(task, self.consent(self.scheduler, CHALLENGE_ACT, challenge_lines(task)))).challenge

    def request(self, task: TaskId, challenge: Address, key: SessionKey, *, worker: KeySigner | None = None) -> SessionRequest:
        """Ask for a session as the worker that the scheduler sent."""
        authorization = sign_authorization(self.scheduler, self.worker.address, task, challenge)
        wish = SessionWish(task_id=task, enclave=challenge, session_key=key.public, authorization=authorization)
        return request_session(worker or self.worker, self.vault.id, wish, nonce=fresh_nonce(), until=UnixSeconds(int(self.now[0]) + 60))


async def make_scene(settings: VaultSettings | None = None) -> Scene:
    """Make a vault in memory on a chain with an app and a dataset."""
    now = [float(START)]
    ledger = TwinLedger(lambda: now[0])
    scene = Scene(await twin_vault(ledger, lambda: now[0], settings), ledger, now)
    ledger.owners[OrderKind.APP, APP] = scene.app_owner.address
    ledger.owners[OrderKind.DATASET, DATASET] = scene.dataset_owner.address
    return scene


def make_deal(scene: Scene, tag: str, dataset: Address, params: str) -> Deal:
    """Make a deal as the hub has it."""
    nobody = Resource(ZERO_ADDRESS, ZERO_ADDRESS, NRLC(0))
    return Deal(
        app=Resource(APP, scene.app_owner.address, NRLC(1)),
        dataset=nobody if dataset == ZERO_ADDRESS else Resource(dataset, scene.dataset_owner.address, NRLC(2)),
        workerpool=Resource(POOL, scene.scheduler.address, NRLC(3)),
        trust=1,
        category=0,
        tag=as_tag(tag),
        requester=scene.requester.address,
        beneficiary=scene.beneficiary.address,
        callback=ZERO_ADDRESS,
        params=params,
        start_time=UnixSeconds(START),
        bot_first=0,
        bot_size=1,
        worker_stake=NRLC(1),
        scheduler_reward_ratio=50,
        sponsor=scene.requester.address,
    )
