"""Tasks that ask for an enclave: refused without leave, authorised with the vault's challenge, given to machines that have one."""

from __future__ import annotations

from tests.unit.pool.conftest import Scene, wallet
from voisin.pool.heart.commands import AskChallenge, AssignReplica
from voisin.pool.heart.facts import ChallengeFailed, ChallengeGiven
from voisin.pool.heart.records import Phase
from voisin.pool.selling.offers import line_of, new_offer, offered_trust, wanted_terms
from voisin.pool.settings import PoolSettings
from voisin.pool.wire.words import why_open
from voisin.protocol.ids import ZERO_ADDRESS, TaskId, as_address
from voisin.protocol.tags import as_tag, tag_bits, tag_names
from voisin.protocol.wire_words import EnclaveKind, MachineFailure

TEE = as_tag("tee,tdx")
CHALLENGE = as_address("0x" + "c4" * 20)
ALLOWED = {"allow_simulated": True, "vault_url": "http://vault"}
SIMULATED = EnclaveKind.SIMULATED
PLAYED = tag_bits(as_tag("tee,tdx,simulated"))


def why(scene: Scene, task: TaskId) -> str:
    return why_open(scene.machine.book, scene.machine.book.tasks[task], scene.chain)


def assigned(scene: Scene) -> list[AssignReplica]:
    return [command for command in scene.log if isinstance(command, AssignReplica)]


def test_without_leave_the_deal_is_refused() -> None:
    for settings, word in ({}, "allow_simulated"), ({"allow_simulated": True}, "vault_url"):
        scene = Scene(**settings)
        (task,) = scene.found(tag=TEE)
        assert scene.machine.book.tasks[task].record.phase is Phase.FAILED
        assert scene.machine.book.tasks[task].record.enclave is SIMULATED, "an old task of which the settings say nothing any more"
        assert word in why(scene, task)


def test_nobody_is_authorised_before_the_vault_names_the_challenge() -> None:
    scene = Scene(**ALLOWED)
    scene.join("alice", enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE)
    assert scene.log[-1] == AskChallenge(task)
    assert assigned(scene) == []
    assert "waits for the vault" in why(scene, task)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    (command,) = assigned(scene)
    assert (command.worker, command.challenge, command.is_direct) == (wallet("alice"), CHALLENGE, True)
    assert scene.machine.book.tasks[task].record.enclave is SIMULATED


def test_a_vault_that_fails_is_asked_again_after_pauses_that_grow() -> None:
    scene = Scene(**ALLOWED, step_pause_s=1)
    scene.join("alice", enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE)
    for pause in (1, 2, 4):
        scene.tell(ChallengeFailed(task, "the vault does not answer"))
        asked = scene.log.count(AskChallenge(task))
        scene.after(pause - 0.5)
        assert scene.log.count(AskChallenge(task)) == asked
        scene.after(0.5)
        assert scene.log.count(AskChallenge(task)) == asked + 1
    assert "the vault does not answer" in why(scene, task)
    scene.after(7 * 300)
    assert "the vault does not answer" in scene.machine.book.tasks[task].record.reason


def test_the_task_waits_for_a_machine_with_an_enclave() -> None:
    scene = Scene(**ALLOWED)
    scene.join("alice")
    (task,) = scene.deal(tag=TEE)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    assert assigned(scene) == []
    assert "none that is connected has a simulated enclave" in why(scene, task)
    scene.join("bob", enclave=SIMULATED)
    assert [command.worker for command in assigned(scene)] == [wallet("bob")]


def test_several_workers_go_the_long_way() -> None:
    scene = Scene(**ALLOWED)
    for name in ("alice", "bob"):
        scene.join(name, enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE, trust=4)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    assert {(command.worker, command.is_direct) for command in assigned(scene)} == {(wallet("alice"), False), (wallet("bob"), False)}


def test_what_is_done_after_a_contribution_is_not_done_at_once() -> None:
    """The hub takes a finished result only while nobody has contributed."""
    scene = Scene(**ALLOWED, retry_pause_s=0)
    scene.join("alice", enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    state = scene.machine.book.tasks[task]
    assert state.is_direct
    scene.contribute("alice", task)
    assert not state.is_direct


def test_plain_tasks_know_no_challenge() -> None:
    scene = Scene(**ALLOWED)
    scene.join("alice", enclave=SIMULATED)
    scene.deal()
    (command,) = assigned(scene)
    assert (command.challenge, command.is_direct) == (ZERO_ADDRESS, False)


def test_a_task_finished_in_one_transaction_ends_well() -> None:
    scene = Scene(**ALLOWED)
    scene.join("alice", enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    scene.contribute("alice", task)
    scene.agree(task)
    scene.reveal("alice", task)
    scene.finalized(task)
    assert scene.machine.book.closed[task].record.phase is Phase.COMPLETED


def test_the_second_offer_stands_as_long_as_machines_have_enclaves() -> None:
    settings = PoolSettings(categories=(0, 2), **ALLOWED)  # type: ignore[arg-type]
    scene = Scene(**settings.model_dump())
    assert {terms.line for terms in wanted_terms(scene.machine.book, settings, 10, scene.wall)} == {(0, 0), (2, 0)}
    scene.join("alice", enclave=SIMULATED)
    scene.join("bob")
    terms = wanted_terms(scene.machine.book, settings, 10, scene.wall)
    assert [(each.line, each.trust, tag_names(each.tag)) for each in terms] == [
        ((0, 0), 4, []),
        ((0, PLAYED), 2, ["tee", "tdx", "simulated"]),
        ((2, 0), 4, []),
        ((2, PLAYED), 2, ["tee", "tdx", "simulated"]),
    ]
    assert line_of(new_offer(settings, terms[1])) == (0, PLAYED)
    assert offered_trust(scene.machine.book, settings, scene.wall, enclaves=as_tag("tee,tdx,simulated")) == 2


def test_without_leave_no_second_offer_and_no_enclave_is_believed() -> None:
    scene = Scene()
    scene.join("alice", enclave=SIMULATED)
    assert {terms.line for terms in wanted_terms(scene.machine.book, scene.settings, 10, scene.wall)} == {(0, 0)}
    assert scene.machine.book.workers[wallet("alice")].record.enclave is EnclaveKind.NONE


def test_an_enclave_that_broke_is_tried_elsewhere() -> None:
    scene = Scene(**ALLOWED, retry_pause_s=1)
    for name in ("alice", "bob"):
        scene.join(name, enclave=SIMULATED)
    (task,) = scene.deal(tag=TEE)
    scene.tell(ChallengeGiven(task, CHALLENGE))
    (first,) = assigned(scene)
    name = "alice" if first.worker == wallet("alice") else "bob"
    scene.fail(name, task, MachineFailure.ENCLAVE_BROKEN, "killed")
    assert [command.worker for command in assigned(scene)] == [first.worker, wallet("bob" if name == "alice" else "alice")]
