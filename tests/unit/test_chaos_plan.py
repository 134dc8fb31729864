"""A run of chaos is drawn from its seed alone."""

from __future__ import annotations

from dataclasses import replace

from tests.support.chaos_plan import Plan

PLAN = Plan(bag=500, bags=1, tasks=31, deals=6, workers=6, every_s=3.0, kill_s=300.0, seed=7)


def test_the_same_seed_kills_the_same_processes_at_the_same_times() -> None:
    assert PLAN.kills() == PLAN.kills()
    assert PLAN.kills() != replace(PLAN, seed=8).kills()


def test_every_kind_of_process_is_killed_about_as_often_as_planned() -> None:
    kills = PLAN.kills()
    assert 70 <= len(kills) <= 130
    assert all(0 < at < 300 for at, _ in kills)
    assert {name.split("-")[0] for _, name in kills} == {"chain", "storage", "market", "scheduler", "worker"}


def test_the_bag_is_sold_at_once_and_the_other_tasks_meanwhile() -> None:
    sales = PLAN.sales()
    assert [(sale.volume, sale.is_bag) for sale in sales if sale.at_s == 0] == [(500, True), (6, False)]
    assert sum(sale.volume for sale in sales) == 531
    assert [sale.at_s for sale in sales] == sorted(sale.at_s for sale in sales)
    assert max(sale.at_s for sale in sales) < 300


def test_one_of_ten_workers_lies_and_one_at_least() -> None:
    assert [replace(PLAN, workers=workers).liars for workers in (2, 6, 20, 39)] == [1, 1, 2, 3]
