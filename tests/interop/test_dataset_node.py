"""Encrypted datasets and the protocol's own JavaScript client: we read what it encrypts, and what it is told of ours is right."""

from __future__ import annotations

import base64
import io
import json
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

from voisin.client.data.protecting import ECOSYSTEM, encrypt
from voisin.client.data.sources import look_at
from voisin.protocol.datasets import decrypt_dataset, new_dataset_key


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 3_000_000])
def test_each_reads_the_other(tmp_path: Path, size: int) -> None:
    node, content = shutil.which("node"), secrets.token_bytes(size)
    assert node is not None
    (tmp_path / "clear").write_bytes(content)
    key = new_dataset_key(secrets.token_bytes)
    checksum = encrypt(look_at(tmp_path / "clear"), tmp_path / "sealed", key, ECOSYSTEM)
    given = {
        "clear": base64.b64encode(content).decode(),
        "sealed": base64.b64encode((tmp_path / "sealed").read_bytes()).decode(),
        "key": key,
    }
    script = Path(__file__).with_name("dataset_node.mjs")
    done = subprocess.run([node, str(script)], input=json.dumps(given), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (base64.b64decode(seen["opened"]), seen["ourChecksum"]) == (content, checksum)
    target = io.BytesIO()
    theirs = io.BytesIO(base64.b64decode(seen["encrypted"]))
    assert decrypt_dataset(theirs, target, seen["key"]) == seen["checksum"]
    assert target.getvalue() == content
