"""Signatures that are malformed, malleable or somebody else's prove nothing; keys show nowhere."""

from __future__ import annotations

import pickle

import pytest
from eth_utils import keccak

from voisin.errors import InputError, TrustError
from voisin.protocol.ids import from_hex, to_hex
from voisin.protocol.signatures import KeySigner, recover_signer, signed_by

KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
DIGEST = keccak(text="digest")


@pytest.fixture
def alice() -> KeySigner:
    return KeySigner(KEY)


def parts(signature: str) -> tuple[bytes, int, int]:
    raw = from_hex(signature)
    return raw[:32], int.from_bytes(raw[32:64], "big"), raw[64]


def test_plain_and_compact_forms_prove_the_same(alice: KeySigner) -> None:
    r, s, v = parts(alice.sign_digest(DIGEST))
    compact = to_hex(r + (s | (v - 27) << 255).to_bytes(32, "big"))
    assert recover_signer(DIGEST, alice.sign_digest(DIGEST)) == alice.address == "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    assert recover_signer(DIGEST, compact) == alice.address


def test_the_mirrored_signature_is_refused(alice: KeySigner) -> None:
    r, s, v = parts(alice.sign_digest(DIGEST))
    mirrored = to_hex(r + (ORDER - s).to_bytes(32, "big") + bytes([27 + 28 - v]))
    with pytest.raises(TrustError, match="malformed"):
        recover_signer(DIGEST, mirrored)


@pytest.mark.parametrize("v", [0, 1, 26, 29, 255])
def test_odd_recovery_values_are_refused(alice: KeySigner, v: int) -> None:
    r, s, _ = parts(alice.sign_digest(DIGEST))
    with pytest.raises(TrustError):
        recover_signer(DIGEST, to_hex(r + s.to_bytes(32, "big") + bytes([v])))


@pytest.mark.parametrize(
    "signature", ["0x", "0x00", "0x" + "00" * 63, "0x" + "00" * 66, "0x" + "00" * 64 + "1b", "0x" + "ff" * 32 + "01" * 33]
)
def test_garbage_belongs_to_nobody(alice: KeySigner, signature: str) -> None:
    assert not signed_by(alice.address, DIGEST, signature)


def test_another_digest_is_not_signed(alice: KeySigner) -> None:
    assert signed_by(alice.address, DIGEST, alice.sign_digest(DIGEST))
    assert not signed_by(alice.address, keccak(text="other"), alice.sign_digest(DIGEST))


@pytest.mark.parametrize("key", [b"", b"\0" * 32, b"\xff" * 32, b"\1" * 31, b"\1" * 33])
def test_what_is_no_key(key: bytes) -> None:
    with pytest.raises(InputError, match="not a private key") as caught:
        KeySigner(key)
    assert caught.value.__cause__ is None


def test_a_key_hides_itself(alice: KeySigner) -> None:
    assert "ac0974" not in repr(alice)
    with pytest.raises(TypeError, match="private key"):
        pickle.dumps(alice)
