"""A storage as a process of its own: it says what is wrong with its settings, serves, sweeps, and ends well when asked to."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

COMMAND = [sys.executable, "-u", "-m", "voisin.storage"]


def environment(**settings: object) -> dict[str, str]:
    """Set a storage up by its variables alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOISIN_")}
    return kept | {f"VOISIN_STORAGE_{name.upper()}": str(value) for name, value in settings.items()}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_and_ends_when_asked_to(tmp_path: Path, number: signal.Signals) -> None:
    given = environment(folder=tmp_path / "store", port=0, quota_bytes=100, loose_keep_days=0.000_000_1, sweep_every_s=0.01)
    with subprocess.Popen(COMMAND, env=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            found = next(match[1] for line in process.stdout if (match := re.search(r"url\S*?=\S*?(http://[\w.:]+)", line)))
            with httpx.Client(base_url=found) as http:
                kept = http.post("/v1/blobs", content=b"kept").json()["cid"]
                loose = http.post("/v1/blobs?keep=loose", content=b"loose").json()["cid"]
                assert http.post("/v1/blobs", content=bytes(100)).status_code == 507
                while http.head(f"/ipfs/{loose}").status_code != 404:  # the sweeper takes it; the test's own deadline is the limit
                    pass
                assert http.get(f"/ipfs/{kept}").content == b"kept"
                assert http.get("/v1/health").json()["used_bytes"] == 4
            process.send_signal(number)
            rest = process.communicate(timeout=30)[0]
            assert process.returncode == 0
        finally:
            process.kill()
    assert "storage_closing" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"backend": "tape"}, 2, "backend"),
        ({"backend": "s3"}, 2, "needs s3_bucket"),
        ({"backend": "ipfs", "ipfs_api_url": "ftp://node"}, 1, "not the address of an IPFS node"),
        ({"loose_keep_days": -1}, 2, "loose_keep_days"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict[str, object], code: int, words: str) -> None:
    done = subprocess.run(
        COMMAND, env=environment(folder=tmp_path, port=0, **settings), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
