"""Settings are read strictly: what is unknown, missing or of the wrong kind is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.errors import InputError
from voisin.worker.settings import settings_from_environment

NEEDED = {"VOISIN_WORKER_POOL_URL": "http://p", "VOISIN_WORKER_RPC_URL": "http://r", "VOISIN_WORKER_FOLDER": "f"}


def test_every_setting_can_be_given() -> None:
    settings = settings_from_environment({**NEEDED, "VOISIN_WORKER_SLOTS": "3", "VOISIN_WORKER_WATCH_S": "0.5", "HOME": "/root"})
    assert (settings.pool_url, settings.folder, settings.slots, settings.watch_s) == ("http://p", Path.cwd() / "f", 3, 0.5)


def test_the_runners_own_variables_are_let_through() -> None:
    settings_from_environment({**NEEDED, "VOISIN_WORKER_KEYSTORE": "k"}, beside=frozenset({"KEYSTORE"}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"VOISIN_WORKER_SLOT": "3"}, "there is no setting VOISIN_WORKER_SLOT"),
        ({"VOISIN_WORKER_SLOTS": "0"}, "VOISIN_WORKER_SLOTS is wrong"),
        ({"VOISIN_WORKER_SLOTS": "many"}, "VOISIN_WORKER_SLOTS is wrong"),
        ({"VOISIN_WORKER_TAG": "tpu"}, "'tpu' is not a tag"),
        ({"VOISIN_WORKER_TAG": "gpu,tee"}, "an enclave is not offered by the tag"),
        ({"VOISIN_WORKER_REGION": "Europe!"}, "VOISIN_WORKER_REGION is wrong"),
        ({"VOISIN_WORKER_DEPOSIT_CAP": "-1"}, "VOISIN_WORKER_DEPOSIT_CAP is wrong"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        settings_from_environment({**NEEDED, **changes})


@pytest.mark.parametrize("missing", list(NEEDED))
def test_missing_settings_are_named(missing: str) -> None:
    with pytest.raises(InputError, match=f"{missing} is wrong: field required"):
        settings_from_environment({name: value for name, value in NEEDED.items() if name != missing})


def test_the_folder_stays_where_it_is_whatever_the_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_from_environment(NEEDED)
    monkeypatch.chdir("/")
    assert settings.folder == tmp_path / "f"
