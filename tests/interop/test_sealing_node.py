"""Sealed results against node's cryptography, in both directions; and what must not be opened."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from Crypto.PublicKey import RSA

from voisin.errors import InputError, TrustError
from voisin.protocol.archive import pack_files, unpack_files
from voisin.protocol.sealing import KEY_FILE, SEALED_FILE, is_sealed, open_sealed, seal_archive

CLEAR = pack_files({"computed.json": b'{"deterministic-output-path": "/iexec_out/a"}', "a": b"a" * 1_000})


@cache
def keys() -> tuple[str, str]:
    """A beneficiary's keys in PEM, as the protocol's clients write them: PKCS#8 and SPKI."""
    key = RSA.generate(2_048)
    return key.export_key(pkcs=8).decode(), key.public_key().export_key().decode()


def test_node_opens_ours_and_we_open_nodes() -> None:
    private, public = keys()
    node = shutil.which("node")
    assert node is not None
    files = unpack_files(seal_archive(CLEAR, public, os.urandom))
    given = {
        "privateKey": private,
        "publicKey": public,
        "key": base64.b64encode(files[KEY_FILE]).decode(),
        "body": base64.b64encode(files[SEALED_FILE]).decode(),
        "clear": base64.b64encode(CLEAR).decode(),
    }
    script = Path(__file__).with_name("sealing_node.mjs")
    done = subprocess.run([node, str(script)], input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (base64.b64decode(seen["opened"]), seen["keyBytes"]) == (CLEAR, 32)
    theirs = pack_files({SEALED_FILE: base64.b64decode(seen["body"]), KEY_FILE: base64.b64decode(seen["key"])})
    assert open_sealed(theirs, private) == CLEAR


def test_what_is_sealed_and_what_is_not() -> None:
    assert is_sealed(seal_archive(CLEAR, keys()[1], os.urandom))
    assert not is_sealed(CLEAR)
    with pytest.raises(InputError, match="no sealed result"):
        open_sealed(CLEAR, keys()[0])
    with pytest.raises(InputError):
        is_sealed(b"no archive")


def test_another_key_and_changed_bytes_are_refused() -> None:
    private, public = keys()
    sealed = seal_archive(CLEAR, public, os.urandom)
    other = RSA.generate(2_048).export_key().decode()
    with pytest.raises(TrustError, match="another key"):
        open_sealed(sealed, other)
    files = unpack_files(sealed)
    for name, data in ((SEALED_FILE, b""), (SEALED_FILE, files[SEALED_FILE][:-1]), (SEALED_FILE, bytes(32)), (KEY_FILE, b"x")):
        with pytest.raises(TrustError, match="another key, or was changed"):
            open_sealed(pack_files({**files, name: data}), private)
    with pytest.raises(InputError, match="private key"):
        open_sealed(sealed, public)


@pytest.mark.parametrize("key", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "x" * 20_000])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InputError, match="no RSA key"):
        seal_archive(CLEAR, key, os.urandom)


def test_short_keys_are_refused() -> None:
    with pytest.raises(InputError, match="1024 bits"):
        seal_archive(CLEAR, RSA.generate(1_024).public_key().export_key().decode(), os.urandom)
