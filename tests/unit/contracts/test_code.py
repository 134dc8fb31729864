"""Compiled code: one storage layout for the hub and its facets, sizes within the chain's limit, an exact compiler."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from voisin.chain.artifacts import StorageSlot, load_artifact
from voisin.chain.compile import COMPILER_VERSION, ROOT, deployable_sources, source_hash
from voisin.chain.deployment.plan import FACETS

COMMITTED = ROOT / "hub" / "layout.json"
EIP_170_LIMIT = 24_576
EIP_3860_LIMIT = 49_152


def test_hub_and_facets_share_one_layout() -> None:
    hub = load_artifact("Hub").layout
    for facet in FACETS:
        assert load_artifact(facet).layout == hub, facet


def test_the_layout_only_ever_grows_at_its_end() -> None:
    """What is committed must be a beginning of what is compiled; new variables are appended and then committed."""
    committed = msgspec.json.decode(COMMITTED.read_bytes(), type=dict[str, StorageSlot])
    compiled = load_artifact("Hub").layout
    assert list(compiled.items())[: len(committed)] == list(committed.items())
    assert compiled == committed, f"append the new variables to {COMMITTED.name}"


def test_the_layout_file_has_no_holes() -> None:
    place = 0
    for name, entry in json.loads(COMMITTED.read_text()).items():
        assert entry["slot"] == place, name
        place += entry["slots"]


def test_every_contract_may_be_deployed() -> None:
    for path in deployable_sources():
        artifact = load_artifact(path.stem)
        assert 0 < artifact.deployed_size <= EIP_170_LIMIT, path.stem
        assert len(artifact.init_code) <= EIP_3860_LIMIT, path.stem


def test_artifacts_are_those_of_the_sources() -> None:
    for path in deployable_sources():
        assert load_artifact(path.stem).source_hash == source_hash(path), f"{path.stem}: run `python -m voisin.chain.compile`"


def test_every_source_pins_the_compiler() -> None:
    for path in sorted([*ROOT.rglob("*.vy"), *ROOT.rglob("*.vyi")]):
        # what others import must compile with their compiler, if it is near ours
        pinned = "~=" if path.parent.name == "interfaces" else ""
        assert path.read_text().startswith(f"# pragma version {pinned}{COMPILER_VERSION}\n"), path


def test_only_the_state_module_declares_variables_of_the_hub() -> None:
    """A variable elsewhere would lie over one of another facet."""
    names = set(load_artifact("Hub").layout)
    assert names == set(load_artifact("TasksFacet").layout)
    assert all("." not in name for name in names)


def test_a_changed_module_makes_its_importers_stale(tmp_path: Path) -> None:
    (tmp_path / "inner.vy").write_text("# pragma version 0.4.3\n")
    (tmp_path / "middle.vyi").write_text("import inner as I\n")
    outer = tmp_path / "Outer.vy"
    outer.write_text("import middle\n")
    before = source_hash(outer)
    assert source_hash(outer) == before
    (tmp_path / "inner.vy").write_text("# pragma version 0.4.3\n\nx: uint256\n")
    assert source_hash(outer) != before
