"""The owner's rules: what each means, and what is said of a wrong one (file, line, remedy)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from voisin.errors import InputError, StateError
from voisin.policy.taking import Offer, objection
from voisin.protocol.ids import Hash32, as_address
from voisin.units import NRLC
from voisin.worker import WorkerSettings
from voisin.worker.life.hours import week_of
from voisin.worker.life.machine_use import ThisMachine
from voisin.worker.life.rules import Rules, RulesError, read_rules
from voisin.worker.life.steward import Steward
from voisin.worker.life.words import Stance

APP, OTHER = as_address("0x" + "a1" * 20), as_address("0x" + "b2" * 20)
CODE = Hash32("0x" + "c3" * 32)
ALL = f"""
cores = 2
memory = "1.5 GiB"
disk = "500 MB"
min_price = "0.25 RLC"
min_price_per_hour = "2 RLC"
max_load = 1.5
idle = "10 min"

[hours]
weekdays = ["20:00-07:00", "12:00-13:00"]
sunday = "00:00-24:00"

[apps]
allow = ["{APP}", "{CODE.upper().replace("X", "x")}"]
deny = ["{OTHER.lower()}"]

[requesters]
deny = "{OTHER}"
"""


def test_every_rule_is_read() -> None:
    rules = read_rules(ALL, "rules.toml")
    assert rules.week is not None
    assert rules == Rules(
        cores=2,
        memory_bytes=1_610_612_736,
        disk_bytes=500_000_000,
        min_price=NRLC(250_000_000),
        min_price_per_hour=NRLC(2_000_000_000),
        max_load=1.5,
        idle_s=600.0,
        week=rules.week,
        allowed_apps=(APP, CODE),
        denied_apps=(OTHER,),
        denied_requesters=(OTHER,),
    )
    assert read_rules("", "rules.toml") == Rules()


@pytest.mark.parametrize(
    ("text", "line", "problem", "remedy"),
    [
        ("cores = 2\nmin_price = 0.1\n", 2, "min_price: 0.1 is no amount", "quotation marks"),
        ("cores = 0\n", 1, "cores: 0 is no number of tasks", "cores = 2"),
        ("\n\nmemroy = '2 GiB'\n", 3, "there is no such rule", "memory"),
        ("memory = '2 gigs'\n", 1, "'2 gigs' is no size", "2 GiB"),
        ("[hours]\n# night\nmonday = '25:00-07:00'\n", 3, "hours.monday: '25:00-07:00' is not a span", "20:00-07:00"),
        ("[hours]\nmoonday = '20:00-07:00'\n", 2, "there is no such rule", "monday"),
        ("cores = 1\nhours = 'always'\n", 2, "it is a table", "[hours]"),
        ("[apps]\nallow = ['0x12']\n", 2, "'0x12' is not an address", "0x and 40"),
        ("apps.deny = ['zz']\n", 1, "'zz' is not an address", "0x and 40"),
        ("[requesters]\nallow = []\n", 2, "there is no such rule", "deny"),
        ("cores = \n", 1, "this is no TOML", "name = value"),
        ("idle = '10'\n", 1, "'10' is no length of time", "10 min"),
        ("max_load = -1\n", 1, "-1 is no load", "1.5"),
    ],
)
def test_a_wrong_rule_is_named_with_line_and_remedy(text: str, line: int, problem: str, remedy: str) -> None:
    with pytest.raises(RulesError) as caught:
        read_rules(text, "rules.toml")
    assert caught.value.message.startswith(f"rules.toml, line {line}: ")
    assert problem in caught.value.message
    assert remedy in caught.value.hint


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2024-01-01 19:59", False),  # a Monday
        ("2024-01-01 20:00", True),
        ("2024-01-02 06:59", True),
        ("2024-01-02 07:00", False),
        ("2024-01-02 12:30", True),
        ("2024-01-06 06:00", True),  # Saturday, still Friday's night
        ("2024-01-06 08:00", False),
        ("2024-01-06 23:59", False),
        ("2024-01-07 15:00", True),
        ("2024-01-08 00:00", False),
    ],
)
def test_hours_of_a_week(moment: str, is_open: bool) -> None:
    week = week_of({"weekdays": ["20:00-07:00", "12:00-13:00"], "sunday": ["00:00-24:00"]})
    assert week.is_open(datetime.fromisoformat(moment)) is is_open


def test_a_night_that_ends_next_week_and_a_day_that_is_named_by_several_words() -> None:
    week = week_of({"every": ["22:00-06:00"], "weekend": ["10:00-11:00"], "sunday": ["23:00-02:00"]})
    assert week.is_open(datetime.fromisoformat("2024-01-08 01:59")), "Monday, Sunday's night"
    assert not week.is_open(datetime.fromisoformat("2024-01-08 02:00"))
    assert not week.is_open(datetime.fromisoformat("2024-01-06 23:00")), "Saturday is named by a word for fewer days"
    with pytest.raises(InputError):
        week_of({"every": ["20:00-20:00"]})


@dataclass
class Desk:
    """A machine whose use the test decides."""

    loaded: float = 0.0
    idle: float | None = None

    def load(self) -> float:
        return self.loaded

    def idle_s(self) -> float | None:
        return self.idle


@dataclass
class Scene:
    """A steward with a clock and a machine of the test."""

    folder: Path
    desk: Desk = field(default_factory=Desk)
    now: datetime = field(default_factory=lambda: datetime.fromisoformat("2024-01-01 12:00"))

    def steward(self) -> Steward:
        settings = WorkerSettings(pool_url="http://p", rpc_url="http://c", folder=self.folder, slots=4, memory_bytes=2**32)
        return Steward(settings, self.desk, local=lambda: self.now)

    def why(self, steward: Steward, running: int = 0) -> str:
        steward._read()
        return steward._judge(running).why


def test_hours_are_kept_as_they_come_and_go(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "rules.toml").write_text("cores = 3\nmemory = '1 GiB'\n[hours]\nevery = '12:00-13:00'\n")
    steward = scene.steward()
    steward.check()
    assert (steward.takes.slots, steward.takes.memory_bytes, steward.takes.why) == (3, 2**30, "")
    scene.now += timedelta(hours=1)
    assert scene.why(steward) == "outside of its hours"
    assert steward._judge(0).slots == 0


def test_load_of_others_counts_and_ones_own_does_not(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "rules.toml").write_text("max_load = 2.0\n")
    steward = scene.steward()
    scene.desk.loaded = 3.9
    assert scene.why(steward, running=2) == ""
    assert scene.why(steward, running=1) == "others load its machine more than 2"
    scene.desk.loaded = 2.8
    assert scene.why(steward, running=1) != "", "not at once: only below three quarters of the limit"
    scene.desk.loaded = 2.4
    assert scene.why(steward, running=1) == ""


def test_a_person_at_the_machine_comes_first(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "rules.toml").write_text("idle = '5 min'\n")
    steward = scene.steward()
    assert scene.why(steward) == "", "where it cannot be known, it does not matter"
    scene.desk.idle = 299.0
    assert scene.why(steward) == "somebody uses its machine"
    scene.desk.idle = 300.0
    assert scene.why(steward) == ""


def test_terminals_say_when_somebody_typed(tmp_path: Path) -> None:
    assert ThisMachine(tmp_path).idle_s() is None
    (tmp_path / "pts").mkdir()
    for name, atime in (("pts/0", 1_000.0), ("tty1", 0.0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (atime, 0.0))
    idle = ThisMachine(tmp_path).idle_s()
    assert idle is not None
    assert 0 < time.time() - 1_000.0 - idle < 60


def test_rules_that_become_wrong_leave_those_before_in_force(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    rules = tmp_path / "rules.toml"
    rules.write_text("cores = 2\n")
    steward = scene.steward()
    steward.check()
    rules.write_text("cores = 'many'\n")
    steward._read()
    assert steward._judge(0).slots == 2
    assert steward.rules_trouble.startswith("rules.toml, line 1: cores: 'many' is no number of tasks; ")
    with pytest.raises(RulesError, match="line 1"):
        scene.steward().check()
    rules.unlink()
    steward._read()
    assert (steward._judge(0).slots, steward.rules_trouble) == (4, "")


def test_a_pause_outlives_the_process_and_a_leave_does_not(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    steward = scene.steward()
    steward.pause(is_urgent=False)
    assert scene.steward().takes.why == "its owner has paused it"
    steward.leave(is_urgent=False)
    assert steward.stance is Stance.LEAVING
    with pytest.raises(StateError, match="is leaving"):
        steward.resume()
    assert scene.steward().stance is Stance.WORKING


def offer(**changes: object) -> Offer:
    return Offer(**{"app": APP, "code": None, "requester": OTHER, "price": NRLC(100), "time_ref_s": 1800, **changes})


@pytest.mark.parametrize(
    ("rules", "changes", "words"),
    [
        ({}, {}, ""),
        ({"min_price": NRLC(100)}, {}, ""),
        ({"min_price": NRLC(101)}, {}, "this worker wants"),
        ({"min_price_per_hour": NRLC(200)}, {}, ""),
        ({"min_price_per_hour": NRLC(201)}, {}, "for an hour at least"),
        ({"denied_requesters": (OTHER,)}, {}, f"requester {OTHER} is denied"),
        ({"denied_apps": (APP,)}, {}, f"app {APP} is denied"),
        ({"denied_apps": (CODE,)}, {}, ""),
        ({"denied_apps": (CODE,)}, {"code": CODE}, f"app {CODE} is denied"),
        ({"allowed_apps": (APP,)}, {}, ""),
        ({"allowed_apps": (OTHER,)}, {}, "is not among those"),
        ({"allowed_apps": (OTHER, CODE)}, {}, ""),
        ({"allowed_apps": (OTHER, CODE)}, {"code": Hash32("0x" + "00" * 32)}, "is not among those"),
        ({"allowed_apps": (OTHER, CODE)}, {"code": CODE}, ""),
    ],
)
def test_what_is_objected_to(rules: dict[str, object], changes: dict[str, object], words: str) -> None:
    from voisin.protocol.wire import Takes

    said = objection(Takes(slots=1, memory_bytes=1, disk_bytes=1, **rules), offer(**changes))
    assert (words in said) if words else said == ""
