"""Offers that a vault forgot when its records came back from an old backup: the vault says so, and the owner's home pushes them again."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from anyio.from_thread import BlockingPortal

from tests.integration.client_rig import Rig, running_rig
from tests.integration.vault_rig import vault_beside
from tests.support.terminal import Terminal
from voisin.client.network import save_network
from voisin.client.vault import CONSENT_S


@contextmanager
def vault_of(rig: Rig, portal: BlockingPortal, folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Serve the vault in a folder, and let the home folder know where; what it logs in this process is not looked at."""
    with vault_beside(rig, portal, folder, consent_ttl_s=CONSENT_S) as url:
        save_network(rig.home, msgspec.structs.replace(rig.network, vault_url=url))
        capsys.readouterr()
        yield


def test_offers_that_the_vault_forgot_are_pushed_again_and_revoked_ones_are_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, folder, table = tmp_path / "home", tmp_path / "vault", tmp_path / "people.csv"
    for each in (home, folder):
        each.mkdir()
    table.write_text("name,age\nSwordfish Ann,41\n")
    with running_rig(home) as (rig, portal):
        portal.call(rig.offer)
        terminal = Terminal(rig.home, capsys, ("Swordfish",))
        with vault_of(rig, portal, folder, capsys):
            mine = terminal.record("data", "protect", str(table), "--uses", "1")
        dataset = str(mine["dataset"])
        shutil.copytree(folder / "data", folder / "backup")
        with vault_of(rig, portal, folder, capsys):
            later = terminal.record("data", "grant", dataset, "--uses", "2")
            taken = terminal.record("data", "grant", dataset, "--uses", "3")
            terminal.run("data", "revoke", dataset, "--order", str(taken["order"]))
            assert terminal.record("data", "show", dataset)["restored_at"] == 0
        shutil.rmtree(folder / "data")
        shutil.move(folder / "backup", folder / "data")
        with vault_of(rig, portal, folder, capsys):
            assert terminal.record("data", "show", dataset)["restored_at"] != 0
            assert "records were restored at" in terminal.run("data", "show", dataset)[1]
            (offer,) = [each for each in terminal.records("data", "granted", dataset) if each["order"] == later["order"]]
            assert offer["terms"] is None, "the vault has forgotten them"
            wanted = {later["order"], *(each["order"] for each in _listed(mine))}
            done = terminal.records("data", "confirm")
            deadline = time.monotonic() + 60
            while any(each["refused"] for each in done):  # consents from before the restoration count no more, those of its second too
                assert all("records were restored" in str(each["refused"]) for each in done), done
                assert time.monotonic() < deadline
                done = terminal.records("data", "confirm")
            assert {each["order"] for each in done} <= wanted
            assert terminal.run("data", "confirm")[:2] == (0, "the vault has forgotten nothing\n")
            assert terminal.record("data", "show", dataset)["restored_at"] == 0
            (offer,) = [each for each in terminal.records("data", "granted", dataset) if each["order"] == later["order"]]
            assert offer["terms"] == later["terms"]


def _listed(found: dict[str, object]) -> list[dict[str, object]]:
    value = found["granted"]
    assert isinstance(value, list)
    return value
