"""Gas of every function that changes state, on both hubs: what is kept in `contracts/gas.json` is true, and ours is never the dearer."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.differences import differences
from tests.support.npm import requires_npm
from tests.support.original import PACKAGES
from voisin.chain.artifacts import load_abi
from voisin.chain.compile import ROOT

BENCH = Path(__file__).parents[3] / "benches" / "gas.py"
Figures = dict[str, tuple[int, int]]


@cache
def _bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benches_gas", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _kept() -> Figures:
    return {label: (ours, theirs) for label, (ours, theirs) in json.loads((ROOT / "gas.json").read_text()).items()}


@pytest.mark.timeout(300)
def test_the_figures_are_true() -> None:
    requires_npm(*PACKAGES)
    bench = _bench()
    ours, theirs = bench.measure_all(bench.deploy_market), bench.measure_all(bench.deploy_original)
    measured = {label: (gas, theirs[label]) for label, gas in ours.items()}
    assert measured == _kept(), "run `python benches/gas.py --keep` and `python contracts/table.py`"


def test_ours_is_never_the_dearer() -> None:
    assert {label: gas for label, gas in _kept().items() if gas[0] > gas[1]} == {}


@pytest.mark.parametrize(("contract", "prefix"), [("Hub", ""), ("HubNative", "native: ")])
def test_nothing_is_left_out(contract: str, prefix: str) -> None:
    labels = {label.removeprefix(prefix).split(",")[0] for label in _kept() if label.startswith(prefix)}
    ours = {item.entry for item in differences() if contract in item.contracts and item.kind == "ours"}
    common = {entry.selector for entry in load_abi("Hub") if entry.state_mutability != "payable"} if prefix else set()
    changing = [entry for entry in load_abi(contract) if entry.type == "function" and entry.state_mutability in ("nonpayable", "payable")]
    missing = {entry.name for entry in changing if entry.selector not in common and entry.signature not in ours} - labels
    assert missing == set()


def test_matching_and_a_tasks_life_are_cheaper_by_what_was_promised() -> None:
    kept = _kept()
    for label, (ours, theirs) in kept.items():
        if label.split(",")[0] in ("matchOrders", "sponsorMatchOrders"):
            assert ours < 0.60 * theirs, label
    for workers, noun in ((1, "1 worker"), (2, "2 workers"), (3, "3 workers"), (4, "4 workers")):
        life = [kept["initialize"], kept[f"finalize, {noun}, results of 84 bytes"]]
        for step in range(1, workers + 1):
            life += [kept[f"contribute, {step} of {workers}"], kept[f"reveal, {step} of {workers}"]]
        assert sum(ours for ours, _ in life) < 0.70 * sum(theirs for _, theirs in life), noun
