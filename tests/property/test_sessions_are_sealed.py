"""
Secrets sealed for an enclave: opened by a second writing of HPKE with another library, and by nothing that was changed.

The second writing follows RFC 9180 sections 4.1, 5.1, 5.1.1 and 5.2 with X25519, HKDF and AES-GCM of another library.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from hmac import digest as hmac

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from tests.support.accounts import signer
from tests.support.vault_scene import fresh_nonce, wallet
from voisin.errors import TrustError
from voisin.protocol.consent import CONSENT_HEADER, Consent, VaultId, consent_text, read_consent, write_consent
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, to_hex
from voisin.protocol.secrets import SecretKind, SecretRef, SecretValue, push_challenge
from voisin.protocol.sessions import (
    SealedSession,
    SessionKey,
    SessionRequest,
    SessionWish,
    TaskSecrets,
    request_session,
    seal_secrets,
)
from voisin.units import UnixSeconds

VAULT = VaultId(vault=as_address("0x" + "a0" * 20), chain_id=31337, hub=as_address("0x" + "b0" * 20))
CHALLENGE, WORKER = wallet("challenge"), wallet("worker")
TASK = TaskId(Hash32("0x" + "17" * 32))
KEY = bytes(range(1, 33))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

HASHES = st.binary(min_size=32, max_size=32).map(lambda raw: Hash32(to_hex(raw)))
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: as_address(to_hex(raw)))


def task_secrets(dataset: str = "", app: str = "", requester: dict[str, str] | None = None) -> TaskSecrets:
    return TaskSecrets(
        challenge_key=Hash32(to_hex(CHALLENGE.expose_key())), dataset_key=dataset, app_secret=app, requester_secrets=requester or {}
    )


def asked(key: SessionKey) -> SessionRequest:
    wish = SessionWish(task_id=TASK, enclave=CHALLENGE.address, session_key=key.public, authorization="0x12")
    return request_session(WORKER, VAULT, wish, nonce=fresh_nonce(), until=UnixSeconds(1_800_000_000))


# --- the second writing


def extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    return hmac(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def expand(key: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    block, out, number = b"", b"", 1
    labelled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    while len(out) < size:
        block = hmac(key, block + labelled + bytes([number]), "sha256")
        out, number = out + block, number + 1
    return out[:size]


def opened_elsewhere(private: bytes, sealed: SealedSession, info: bytes) -> bytes:
    own = X25519PrivateKey.from_private_bytes(private)
    shared = own.exchange(X25519PublicKey.from_public_bytes(sealed.encapsulated))
    kem, hpke = b"KEM" + b"\x00\x20", b"HPKE" + b"\x00\x20" + b"\x00\x01" + b"\x00\x02"
    context = sealed.encapsulated + own.public_key().public_bytes_raw()
    secret = expand(extract(b"", kem, b"eae_prk", shared), kem, b"shared_secret", context, 32)
    schedule = b"\0" + extract(b"", hpke, b"psk_id_hash", b"") + extract(b"", hpke, b"info_hash", info)
    derived = extract(secret, hpke, b"secret", b"")
    key, nonce = expand(derived, hpke, b"key", schedule, 32), expand(derived, hpke, b"base_nonce", schedule, 12)
    return AESGCM(key).decrypt(nonce, sealed.ciphertext, None)


def signed_text(request: SessionRequest) -> bytes:
    """Spell what the worker signs a second time."""
    consent = request.consent
    evidence = keccak(b'{"kind":"simulated"}').hex()
    lines = (
        "Voisin vault: open the session of a task",
        f"vault {VAULT.vault}",
        "chain 31337",
        f"hub {VAULT.hub}",
        f"task {TASK}",
        f"enclave {CHALLENGE.address}",
        f"session-key {request.session_key}",
        f"evidence 0x{evidence}",
        f"signer {WORKER.address}",
        f"nonce {consent.nonce}",
        f"until {consent.until}",
    )
    return "\n".join(lines).encode()


@given(TEXTS, TEXTS, st.dictionaries(st.integers(1, 99).map(str), TEXTS, max_size=3))
def test_opened_here_and_elsewhere(dataset: str, app: str, requester: dict[str, str]) -> None:
    key = SessionKey(lambda size: KEY[:size])
    request, given_secrets = asked(key), task_secrets(dataset, app, requester)
    sealed = seal_secrets(given_secrets, request, VAULT)
    assert key.open(sealed, request, VAULT) == given_secrets
    text = signed_text(request)
    info = b"voisin task session 1" + keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)
    assert msgspec.json.decode(opened_elsewhere(KEY, sealed, info), type=TaskSecrets) == given_secrets
    assert sha256(sealed.ciphertext).digest() != sha256(seal_secrets(given_secrets, request, VAULT).ciphertext).digest()


@given(st.data())
def test_any_changed_byte(data: st.DataObject) -> None:
    key = SessionKey(secrets.token_bytes)
    request = asked(key)
    sealed = seal_secrets(task_secrets("k"), request, VAULT)
    field = data.draw(st.sampled_from(["encapsulated", "ciphertext"]))
    original = getattr(sealed, field)
    place, flip = data.draw(st.integers(0, len(original) - 1)), data.draw(st.integers(1, 255))
    if field == "encapsulated" and place == 31 and flip == 0x80:
        flip = 0x40  # the curve ignores this one bit (RFC 7748 section 5); HPKE's context still covers it
    changed = bytearray(original)
    changed[place] ^= flip
    with pytest.raises(TrustError, match="or was changed"):
        key.open(msgspec.structs.replace(sealed, **{field: bytes(changed)}), request, VAULT)
    cut = data.draw(st.integers(0, len(original) - 1))
    with pytest.raises(TrustError, match="or was changed"):
        key.open(msgspec.structs.replace(sealed, **{field: original[:cut]}), request, VAULT)


def test_bit_that_the_curve_ignores() -> None:
    key = SessionKey(secrets.token_bytes)
    request = asked(key)
    sealed = seal_secrets(task_secrets("k"), request, VAULT)
    flipped = sealed.encapsulated[:31] + bytes([sealed.encapsulated[31] ^ 0x80])
    with pytest.raises(TrustError):
        key.open(msgspec.structs.replace(sealed, encapsulated=flipped), request, VAULT)


@given(HASHES, ADDRESSES, st.integers(1, 2**63))
def test_sealed_for_another_request_vault_or_key(other: Hash32, elsewhere: Address, chain_id: int) -> None:
    key = SessionKey(secrets.token_bytes)
    request = asked(key)
    sealed = seal_secrets(task_secrets("k"), request, VAULT)
    consent = request.consent
    for foreign in (
        msgspec.structs.replace(request, task_id=TaskId(other)),
        msgspec.structs.replace(request, enclave=elsewhere),
        msgspec.structs.replace(request, consent=msgspec.structs.replace(consent, nonce=other)),
        msgspec.structs.replace(request, consent=msgspec.structs.replace(consent, signer=elsewhere)),
        msgspec.structs.replace(request, session_key=SessionKey(secrets.token_bytes).public),
    ):
        with pytest.raises(TrustError):
            key.open(sealed, foreign, VAULT)
    for vault in (msgspec.structs.replace(VAULT, vault=elsewhere), msgspec.structs.replace(VAULT, chain_id=chain_id + 31337)):
        with pytest.raises(TrustError):
            key.open(sealed, request, vault)
    with pytest.raises(TrustError):
        SessionKey(secrets.token_bytes).open(sealed, request, VAULT)


def test_secrets_of_somebody_who_did_not_make_the_challenge() -> None:
    """A worker between enclave and vault can seal what it likes to the enclave's key, but not with the challenge's own key."""
    key = SessionKey(secrets.token_bytes)
    request = asked(key)
    forged = msgspec.structs.replace(task_secrets(), challenge_key=Hash32(to_hex(WORKER.expose_key())), beneficiary_key="mine")
    with pytest.raises(TrustError, match="not from the vault that made the task's challenge"):
        key.open(seal_secrets(forged, request, VAULT), request, VAULT)


@given(st.sampled_from(list(SecretKind)), ADDRESSES, st.text("abcXYZ-_09", min_size=1, max_size=64), TEXTS.filter(bool))
def test_challenges_of_the_protocol(kind: SecretKind, holder: Address, name: str, value: str) -> None:
    domain, address = keccak(b"IEXEC_SMS_DOMAIN"), bytes.fromhex(holder[2:])
    middle = {
        SecretKind.DATASET: b"",
        SecretKind.APP: keccak(b"1"),
        SecretKind.REQUESTER: keccak(name.encode()),
        SecretKind.NAMED: keccak(name.encode()),
    }[kind]
    expected = keccak(domain + address + middle + keccak(value.encode()))
    assert push_challenge(SecretRef(kind, holder, name), SecretValue(value)) == expected


@given(HASHES, st.integers(0, 10**12 - 1), st.binary(min_size=1, max_size=100))
def test_consents_travel_in_a_header(nonce: Hash32, until: int, signature: bytes) -> None:
    consent = Consent(signer=WORKER.address, nonce=nonce, until=UnixSeconds(until), signature=to_hex(signature))
    assert read_consent(write_consent(consent)) == consent
    assert CONSENT_HEADER == "Voisin-Consent"
    assert consent_text(VAULT, "act", {"a": "b"}, consent).decode().splitlines()[0] == "Voisin vault: act"


def test_signed_as_a_wallet_signs() -> None:
    """What another library signs as an Ethereum message over the second writing is the worker's signature."""
    key = SessionKey(secrets.token_bytes)
    request = asked(key)
    text = signed_text(request)
    digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)
    from voisin.protocol.signatures import recover_signer

    other = signer("another worker")
    assert recover_signer(digest, request.consent.signature) == WORKER.address
    assert recover_signer(digest, "0x" + other.sign(digest).hex()) == other.address


def test_nothing_shows_in_text() -> None:
    key = SessionKey(lambda size: KEY[:size])
    texts = f"{task_secrets('swordfish', 'tuna', {'1': 'eel'})!r} {key!r} {key}"
    assert not any(word in texts for word in ("swordfish", "tuna", "eel", KEY.hex(), CHALLENGE.expose_key().hex()))
