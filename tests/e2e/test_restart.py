"""A box that is stopped, or killed, finds everything as it was; two boxes never share a home."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.e2e.conftest import RunningBox

JOB = ("run", "apps/noop", "--yes")


def test_everything_is_there_after_a_stop_and_after_a_kill(box_factory: Callable[..., RunningBox]) -> None:
    box = box_factory("--workers", "2")
    deal = box.json(*JOB)["invoices"][0]["deal_id"]
    for how in (signal.SIGINT, signal.SIGKILL):
        before = (box.json("wallet", "balance"), box.json("deal", "show", deal), box.network["hub"])
        code = box.stop(how)
        assert code == (0 if how == signal.SIGINT else -signal.SIGKILL)
        box.start()
        assert (box.json("wallet", "balance"), box.json("deal", "show", deal), box.network["hub"]) == before
        assert box.json(*JOB)["invoices"][0]["spent"] > 0


def test_a_second_box_in_the_same_home_is_refused(box: RunningBox) -> None:
    done = box.run("up", "--port", "0", check=False)
    assert done.returncode == 1
    assert "already runs" in done.stderr


def test_status_tells_what_runs(box: RunningBox) -> None:
    status = box.json("status")
    assert status["is_running"] is True
    assert [service["name"] for service in status["services"]] == ["chain", "market", "pool", "storage", "vault", "index"]
    assert all(service["is_up"] for service in status["services"])
    assert sum(worker["online"] for worker in status["pool"]["workers"]) == 3
