"""The SDK against a market of real parts: results in order and verified, failures named, money to the nRLC."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

import voisin
from tests.integration.client_rig import PRICE, WASM, Rig, running_rig


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, BlockingPortal]]:
    with running_rig(tmp_path_factory.mktemp("home")) as (rig, portal):
        assert isinstance(portal, BlockingPortal)
        portal.call(rig.offer)
        yield rig, portal


@pytest.fixture
def rig(market: tuple[Rig, BlockingPortal]) -> Rig:
    return market[0]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "sentence.wasm"
    path.write_bytes(WASM)
    return path


def test_one_run_gives_a_verified_result(rig: Rig, app: Path) -> None:
    with voisin.connect(rig.home) as cloud:
        result = cloud.run(app, ["hello", 3], inputs={"a.txt": b"data"})
    assert dict(result.files) == {"out.txt": b"hello 3 a.txt=data", "stdout.txt": b"ran hello 3 a.txt=data\n"}
    assert result.stdout == "ran hello 3 a.txt=data\n"
    assert result.price == PRICE
    assert set(result.workers) <= {worker.address for worker in rig.workers}
    assert len(result.workers) == 2
