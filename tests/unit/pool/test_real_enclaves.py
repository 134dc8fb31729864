"""Workers that say that they have real enclaves: believed when that verifies, placed by what a deal asks for, sold as what they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.support.evidence import SAMPLES
from tests.unit.pool.conftest import Scene, wallet
from tests.unit.pool.test_desk_refuses_abuse import ALICE, POOL, SCHEDULER, Door, Visit, hello
from voisin.attestation import EnclavePolicy, TcbStatus
from voisin.attestation.verify import Collateral
from voisin.errors import InputError
from voisin.pool.chain.twin import TwinLedger
from voisin.pool.heart.commands import AssignReplica
from voisin.pool.heart.facts import ChallengeGiven, WorkerJoined
from voisin.pool.running.desk import WorkerDesk
from voisin.pool.running.introductions import Introductions, Judge
from voisin.pool.selling.offers import wanted_terms
from voisin.pool.settings import PoolSettings
from voisin.protocol.evidence import Evidence, IntelQuote, KeptEvidence, SimulatedEvidence
from voisin.protocol.ids import Address, Hash32, as_address, from_hex, hash32_of
from voisin.protocol.tags import as_tag, tag_names
from voisin.protocol.wire import Challenge, Refused, Resources, Welcome
from voisin.protocol.wire_words import EnclaveKind
from voisin.service.collateral import Collector, Sources
from voisin.service.enclaves import RealEnclaves
from voisin.units import UnixSeconds

pytestmark = pytest.mark.anyio

CHALLENGE = as_address("0x" + "c4" * 20)
REAL = {"enclave_policy_file": Path("policy.json"), "vault_url": "http://vault"}
TDX, SNP, SGX, SIMULATED = EnclaveKind.TDX, EnclaveKind.SNP, EnclaveKind.SGX, EnclaveKind.SIMULATED
QUOTE = SAMPLES["tdx"].evidence


@dataclass
class Credulous:
    """Finds all evidence good, and remembers what it was asked about."""

    asked: list[tuple[Evidence, Hash32]] = field(default_factory=list)

    async def require(self, evidence: Evidence, binding: Hash32, now: UnixSeconds) -> KeptEvidence:
        """Find it good."""
        self.asked.append((evidence, binding))
        return KeptEvidence(evidence=evidence, collateral=msgspec.Raw(b"null"), binding=binding, verified_at=now)


class Known(Collector):
    """Has what a sample is verified with."""

    def __init__(self, http: httpx.AsyncClient, collateral: Collateral) -> None:
        super().__init__(http, Sources("", "", ""), keep_s=0)
        self._known = collateral

    async def collateral_of(self, evidence: Evidence, now: UnixSeconds) -> Collateral:
        return self._known


def open_door(judge: Judge | None, wall: float = 0.0) -> Door:
    settings = PoolSettings(workerpool=POOL, storage_url="http://storage")
    introductions = Introductions(judge, lambda: wall)
    door = Door(WorkerDesk(settings, TwinLedger(lambda: 0.0), SCHEDULER, tell=lambda fact: door.hear(fact), introductions=introductions))
    door.desk.go_live()
    return door


def having(kind: EnclaveKind) -> Resources:
    return Resources(slots=1, memory_bytes=1, disk_bytes=1, enclave=kind)


async def enter(visit: Visit, kind: EnclaveKind, evidence: Evidence | None) -> tuple[Challenge, Welcome | Refused]:
    challenge = await visit.hear()
    assert isinstance(challenge, Challenge)
    await visit.say(hello(challenge, ALICE, resources=having(kind), evidence=evidence))
    answer = await visit.hear()
    assert isinstance(answer, Welcome | Refused)
    return challenge, answer


def bound_to(challenge: Challenge, worker: Address) -> Hash32:
    place = from_hex(challenge.workerpool) + challenge.chain_id.to_bytes(32, "big")
    return hash32_of(b"voisin enclave introduction 1" + place + from_hex(worker) + from_hex(challenge.nonce))


async def test_what_it_shows_is_held_against_this_very_challenge() -> None:
    judge = Credulous()
    door = open_door(judge)
    async with door.visit() as visit:
        challenge, answer = await enter(visit, TDX, QUOTE)
        assert isinstance(answer, Welcome)
        assert judge.asked == [(QUOTE, bound_to(challenge, ALICE.address))]
        fact = await door.fact(WorkerJoined)
        assert isinstance(fact, WorkerJoined)
        assert fact.enclave is TDX


@pytest.mark.parametrize(
    ("said", "shown", "why"),
    [
        (TDX, None, "shows no evidence"),
        (TDX, SimulatedEvidence(), "shows evidence of simulated"),
        (SGX, QUOTE, "shows evidence of intel-tdx"),
        (EnclaveKind.HARDWARE, QUOTE, "shows evidence of intel-tdx"),
    ],
)
async def test_what_it_says_it_must_show(said: EnclaveKind, shown: Evidence | None, why: str) -> None:
    judge = Credulous()
    door = open_door(judge)
    async with door.visit() as visit:
        _, answer = await enter(visit, said, shown)
        assert isinstance(answer, Refused)
        assert why in answer.message
        assert (door.told, judge.asked) == ([], [])


async def refusal_of(evidence: Evidence) -> str:
    """Let a worker in whose evidence a real judge looks at, at the time at which it was fresh."""
    sample = SAMPLES["tdx"]
    policy = EnclavePolicy(measurements=(dict(sample.verify().measurements),), statuses=frozenset(TcbStatus))
    async with httpx.AsyncClient() as http:
        door = open_door(RealEnclaves(policy, Known(http, sample.collateral)), float(sample.now))
        async with door.visit() as visit:
            _, answer = await enter(visit, TDX, evidence)
            assert isinstance(answer, Refused)
            assert door.told == []
            return answer.message


async def test_genuine_evidence_that_was_made_for_something_else_is_refused() -> None:
    assert (await refusal_of(QUOTE)).endswith("not good enough: it was not made for this session")


async def test_evidence_that_does_not_verify_is_refused() -> None:
    assert isinstance(QUOTE, IntelQuote)
    quote = bytearray(QUOTE.quote)
    quote[600] ^= 1
    assert "not verified" in await refusal_of(IntelQuote(bytes(quote)))


async def test_without_a_policy_real_enclaves_do_not_count() -> None:
    """Their workers still do plain tasks, and are told."""
    door = open_door(None)
    async with door.visit() as visit:
        _, answer = await enter(visit, TDX, QUOTE)
        assert isinstance(answer, Welcome)
        fact = await door.fact(WorkerJoined)
        assert isinstance(fact, WorkerJoined)
        assert fact.enclave is EnclaveKind.NONE
        assert "do not count here" in door.desk.notes[ALICE.address]


def given(scene: Scene) -> list[Address]:
    return [command.worker for command in scene.log if isinstance(command, AssignReplica)]


def test_a_pool_is_of_one_level() -> None:
    with pytest.raises(InputError, match="real enclaves or simulated ones"):
        PoolSettings(enclave_policy_file=Path("policy.json"), allow_simulated=True)


@pytest.mark.parametrize(("tag", "chosen"), [("tee", {"tess", "sven"}), ("tee,tdx", {"tess"})])
def test_tasks_go_to_the_hardware_that_the_deal_names(tag: str, chosen: set[str]) -> None:
    scene = Scene(**REAL)
    scene.join("played", enclave=SIMULATED)
    scene.join("plain")
    scene.join("tess", enclave=TDX)
    scene.join("sven", enclave=SNP)
    for _ in chosen:
        (task,) = scene.deal(tag=as_tag(tag))
        assert scene.machine.book.tasks[task].record.enclave is EnclaveKind.HARDWARE
        scene.tell(ChallengeGiven(task, CHALLENGE))
    assert set(given(scene)) == {wallet(name) for name in chosen}


def test_a_played_enclave_never_stands_in_for_a_real_one_nor_the_other_way() -> None:
    real = Scene(**REAL)
    real.join("played", enclave=SIMULATED)
    (task,) = real.deal(tag=as_tag("tee"))
    real.tell(ChallengeGiven(task, CHALLENGE))
    assert given(real) == []
    simulated = Scene(allow_simulated=True, vault_url="http://vault")
    simulated.join("tess", enclave=TDX)
    (task,) = simulated.deal(tag=as_tag("tee"))
    simulated.tell(ChallengeGiven(task, CHALLENGE))
    assert given(simulated) == []


def test_each_kind_is_sold_as_what_it_is() -> None:
    scene = Scene(**REAL)
    settings = PoolSettings(**scene.settings.model_dump())
    scene.join("played", enclave=SIMULATED)
    assert [tag_names(terms.tag) for terms in wanted_terms(scene.machine.book, settings, 10, scene.wall)] == [[]]
    scene.join("tess", enclave=TDX)
    scene.join("sven", enclave=SNP)
    scene.join("sara", enclave=SGX)
    terms = wanted_terms(scene.machine.book, settings, 10, scene.wall)
    assert {(tuple(tag_names(each.tag)), each.trust > 2) for each in terms} == {((), True), (("tee",), True), (("tee", "tdx"), False)}
    assert len({each.line for each in terms}) == 3
