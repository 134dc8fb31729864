"""Contracts that re-enter, refuse, flood, lie and burn gas wherever the hub speaks to them make, lose and lock no money (SPEC 14)."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.attack_machine import AttackMachine
from tests.support.attack_world import ACTIVE, CHANGING, MODES, AttackWorld
from tests.support.market import DIGEST, RLC
from tests.support.nights import examples
from tests.support.orders import ZERO

VALUE = b"the right result"


@pytest.mark.timeout(0)
def test_any_life_among_enemies() -> None:
    """Random lives, audited after every step."""
    chosen = settings(max_examples=examples(13), stateful_step_count=10, deadline=None)
    run_state_machine_as_test(AttackMachine, settings=chosen)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def world() -> AttackWorld:
    """A hub among enemies."""
    return AttackWorld()


@pytest.mark.parametrize("door", ["result", "token in", "token out", "signature", "group"])
def test_every_function_from_within(world: AttackWorld, door: str) -> None:
    """Each function that can change something, called while the hub waits for an answer of each kind."""
    for name in sorted(CHANGING):
        with world.evm.anchor():
            _try(world, door, name)


def _try(world: AttackWorld, door: str, name: str) -> None:
    machine = AttackMachine.__new__(AttackMachine)
    machine.world, machine.deals, machine.kitty = world, [], 0
    who = {"app": 0, "pool": 0, "requester": 0, "dataset": 0, "callback": 1, "group": 0}
    if door in ("signature", "group"):
        who |= {"requester": 1, "group": int(door == "group")}
    machine.match(who=who, price=RLC, trust=1, volume=2, how="matchOrders")
    task, deal = machine.deals[0].tasks[0], machine.deals[0]
    worker = world.roles.workers[0].address
    assert machine._do("initialize", deal.identity, 0, by=worker)
    assert machine._do("contribute", *world.contribution(task, worker, deal.scheduler), by=worker)
    assert machine._do("reveal", task, DIGEST, by=worker)
    enemy = world.token if door.startswith("token") else world.attackers[2 if door == "group" else 0]
    world.send(enemy, "arm(uint256)", MODES["agree"])
    data = world.call_from_within(name, task, deal.identity, enemy)
    world.send(enemy, "order(address,bytes)", world.hub.address, data)
    if door == "result":
        assert machine._do("finalize", task, b"", VALUE, by=deal.scheduler)
    elif door.startswith("token"):
        machine._do("deposit" if door == "token in" else "withdraw", 5 * RLC, by=worker)
    else:
        assert machine._do("matchOrders", *world.orders(who, RLC, 1, 1), by=worker)
    machine.the_books_are_right()


@pytest.mark.parametrize("mode", sorted(MODES))
def test_no_taker_of_results_delays_the_settlement(world: AttackWorld, mode: str) -> None:
    with world.evm.anchor():
        machine = AttackMachine.__new__(AttackMachine)
        machine.world, machine.deals, machine.kitty = world, [], 0
        world.send(world.attackers[1], "arm(uint256)", MODES[mode])
        who = {"app": 0, "pool": 0, "requester": 0, "dataset": 0, "callback": 2, "group": 0}
        machine.match(who=who, price=RLC, trust=1, volume=1, how="matchOrders")
        task, deal = machine.deals[0].tasks[0], machine.deals[0]
        worker = world.roles.workers[0].address
        assert machine._do("initialize", deal.identity, 0, by=worker)
        assert world.hub.read("viewTask", task)[0] == ACTIVE
        word = world.contribution(task, worker, deal.scheduler)[5]
        assert machine._do("contributeAndFinalize", task, DIGEST, b"", VALUE, ZERO, b"", word, by=worker)
        machine.the_books_are_right()
