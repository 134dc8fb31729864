"""What a worker's owner reads and writes: earnings added up, the systemd service, addresses as this machine sees them, beginnings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from voisin.chain.earned import Payment
from voisin.cli.detaching import Beginning, Report, detach
from voisin.cli.worker_money import Earned, add_up
from voisin.cli.worker_unit import unit_path, unit_text
from voisin.errors import InputError, StateError
from voisin.protocol.ids import Address, DealId, Hash32, TaskId, as_address
from voisin.units import NRLC, UnixSeconds
from voisin.worker.life.joining import Joined, load_joined, save_joined, seen_from

POOLS = as_address("0x" + "a1" * 20), as_address("0x" + "b2" * 20)
DEALS = DealId(Hash32("0x" + "d1" * 32)), DealId(Hash32("0x" + "d2" * 32))
NOON = 1_704_110_400  # 2024-01-01 12:00 UTC
DAY_S = 86_400


def payment(deal: int, amount: int, at: int, task: int | None = 0) -> Payment:
    task_id = None if task is None else TaskId(Hash32(f"0x{task:064x}"))
    return Payment(DEALS[deal], POOLS[deal], task_id, NRLC(amount), UnixSeconds(at), Hash32("0x" + "ee" * 32))


PAYMENTS = [payment(0, 50, NOON), payment(1, -30, NOON + 1), payment(1, 7, NOON + DAY_S, None), payment(0, 1, NOON + DAY_S, 5)]


@pytest.mark.parametrize(
    ("by", "lines"),
    [
        ("day", [("2024-01-01", 2, 50, 30), ("2024-01-02", 2, 8, 0)]),
        ("pool", [(POOLS[0], 2, 51, 0), (POOLS[1], 2, 7, 30)]),
        ("deal", [(DEALS[0], 2, 51, 0), (DEALS[1], 2, 7, 30)]),
        ("task", [("0x" + "00" * 32, 2, 50, 30), (f"bag of {DEALS[1]}", 1, 7, 0), (f"0x{5:064x}", 1, 1, 0)]),
    ],
)
def test_earnings_are_added_up(by: str, lines: list[tuple[str, int, int, int]]) -> None:
    assert add_up(PAYMENTS, by) == tuple(
        Earned(name=name, payments=count, earned=earned, fined=fined) for name, count, earned, fined in lines
    )


def joined(**changes: object) -> Joined:
    told: dict[str, object] = {
        "pool_url": "http://pool.example",
        "rpc_url": "http://node.example/with-a-key",
        "hub": Address("0x" + "11" * 20),
        "chain_id": 1,
        "is_hub_known": False,
        "wallet": "/w.json",
        "password_file": "/w.password",
        "name": "100% of it",
        "slots": 1,
        "memory_bytes": 1,
        "disk_bytes": 1,
    }
    return Joined(**{**told, **changes})


def test_a_service_quotes_what_systemd_would_expand(monkeypatch: pytest.MonkeyPatch) -> None:
    text = unit_text(Path('/home/a "b"'), Path("/home/50%$HOME"), joined())
    (command,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert command.endswith('"worker" "join" "--home" "/home/a \\"b\\"" "--folder" "/home/50%%$$HOME"')
    assert "Description=Voisin worker 100%% of it" in text
    assert "with-a-key" not in text
    monkeypatch.setenv("XDG_CONFIG_HOME", "/conf")
    assert unit_path("attic") == Path("/conf/systemd/user/voisin-attic.service")


def test_what_was_joined_is_read_again(tmp_path: Path) -> None:
    assert load_joined(tmp_path) is None
    save_joined(tmp_path / "w", joined(slots=3))
    assert load_joined(tmp_path / "w") == joined(slots=3)
    (tmp_path / "w" / "join.json").write_text("{}")
    with pytest.raises(InputError):
        load_joined(tmp_path / "w")


@pytest.mark.parametrize(
    ("url", "other", "seen"),
    [
        ("http://127.0.0.1:8545", "http://pool.example:8547", "http://pool.example:8545"),
        ("http://0.0.0.0:8545/x?y=1", "http://10.0.0.7:8547", "http://10.0.0.7:8545/x?y=1"),
        ("http://[::1]:8545", "http://[2001:db8::1]:8547", "http://[2001:db8::1]:8545"),
        ("http://127.0.0.1:8545", "http://localhost:8547", "http://127.0.0.1:8545"),
        ("https://node.example", "http://10.0.0.7:8547", "https://node.example"),
        ("", "http://10.0.0.7:8547", ""),
    ],
)
def test_a_service_that_calls_itself_local_is_where_the_pool_is(url: str, other: str, seen: str) -> None:
    assert seen_from(url, other) == seen


def begin_and_end(beginning: Beginning | None, tmp_path: Path, work_on: str = "") -> tuple[int, Beginning]:
    def work(report: Report) -> None:
        if beginning is None:
            raise StateError("there is no place", hint="make some")
        os.write(1, b"said to the log\n")
        report(beginning)
        report(Beginning(is_ready=False, words="too late"))

    return detach(work, tmp_path / "log" / "worker.log")


def test_a_process_in_the_background_says_how_it_began(tmp_path: Path) -> None:
    child, said = begin_and_end(Beginning(is_ready=True, words="fine"), tmp_path)
    assert (said, os.waitpid(child, 0)[1]) == (Beginning(is_ready=True, words="fine"), 0)
    log = tmp_path / "log" / "worker.log"
    assert (log.read_text(), log.stat().st_mode & 0o777) == ("said to the log\n", 0o600)


def test_or_why_it_did_not(tmp_path: Path) -> None:
    child, said = begin_and_end(None, tmp_path)
    assert said == Beginning(is_ready=False, words="there is no place", hint="make some")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_one_that_dies_at_once_is_no_beginning(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="ended at once"):
        detach(lambda _report: os._exit(3), tmp_path / "worker.log")
    os.wait()
