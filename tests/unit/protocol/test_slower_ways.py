"""Where the quick libraries are missing, slower ones sign, recover and hash the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from voisin.protocol import curve, hashing, slow_curve

KEYS = [(1).to_bytes(32, "big"), hashlib.sha256(b"a key").digest()]
DIGEST = hashlib.sha256(b"what is signed").digest()


@pytest.mark.parametrize("key", KEYS)
def test_the_curve(key: bytes) -> None:
    quick, slow = curve.SecretKey(key), slow_curve.SecretKey(key)
    assert quick.public == slow.public
    assert quick.expose() == slow.expose() == key
    for made in (quick.sign(DIGEST), slow.sign(DIGEST)):
        assert curve.recover(made, DIGEST) == slow_curve.recover(made, DIGEST) == quick.public


def test_a_signature_of_nobody() -> None:
    for way in (curve, slow_curve):
        with pytest.raises(ValueError):
            way.recover(bytes(65), DIGEST)


def test_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = [hashing.keccak(data) for data in (b"", b"abc", bytes(1_000))]
    monkeypatch.setattr(hashing, "keccak_256", None)
    assert [hashing.keccak(data) for data in (b"", b"abc", bytes(1_000))] == quick
    assert quick[0].hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_clients_and_workers_start_without_libraries_that_are_slow_to_load() -> None:
    slow = ("eth_", "toolz", "parsimonious", "rlp", "sqlalchemy", "litestar", "numpy")
    program = f"import sys, voisin.client, voisin.worker.__main__; print([name for name in sys.modules if name.startswith({slow!r})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
