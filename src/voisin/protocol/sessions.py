"""
How the secrets of a task reach the enclave that runs it, and nobody between.

The enclave makes a fresh X25519 key pair. The worker asks the vault for a session: it names the task, the task's challenge (the
address whose key the enclave will sign with), the scheduler's authorisation, the session key and the evidence of the enclave, and
signs all of it as a consent. The vault answers the secrets sealed to the session key by HPKE, bound to exactly this
request. The enclave opens them and sees that the challenge key among them is the one that the authorisation names: only the
vault knew it, so what came with it is the vault's word.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, one message.

Source: RFC 9180; pool-semantics.md 2.5, 3.2 to 3.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from Crypto.Protocol import HPKE
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key
from Crypto.PublicKey.ECC import EccKey

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.consent import Consent, VaultId, canonical_consent, consent_digest, give_consent
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.evidence import Evidence, SimulatedEvidence
from voisin.protocol.ids import Address, Hash32, TaskId, as_address, as_hash32, from_hex, hash32_of, to_hex
from voisin.protocol.orders import DatasetOrder
from voisin.protocol.signatures import KeySigner, Signer
from voisin.units import UnixSeconds

CHALLENGE_ACT: Final = "give the challenge of a task"
SESSION_ACT: Final = "open the session of a task"
SHARE_ACT: Final = "give the shares of a task's keys"
KEY_BYTES: Final = 32
MAX_BULK: Final = 100
"""Most datasets that one task opens together."""
MIN_BULK_VOLUME: Final = 2**53 - 2
"""Volume from which on a dataset order is for lists; source: pool-semantics.md 3.3."""
_INFO: Final = b"voisin task session 1"
_SHARE_INFO: Final = b"voisin task shares 1"


class _Kind(msgspec.Struct, frozen=True):
    kind: str


class SessionWish(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a session is asked for.

    Attributes:
        task_id: The task.
        enclave: The task's challenge.
        session_key: The enclave's X25519 public key, 32 bytes.
        authorization: The scheduler's signature that lets the worker contribute with this challenge.
        evidence: What the enclave shows for itself.
        bulk: The signed orders of the datasets that the task opens together, for a deal that names such lists.
    """

    task_id: TaskId
    enclave: Address
    session_key: Hash32
    authorization: str
    evidence: Evidence = SimulatedEvidence()
    bulk: tuple[DatasetOrder, ...] = ()


class SessionRequest(SessionWish, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A wish for a session with the worker's consent; the worker is who signed it."""

    consent: Consent

    @property
    def worker(self) -> Address:
        """The worker that asks."""
        return self.consent.signer


class TaskChallenge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address whose key the enclave of a task signs with; the same each time it is asked for."""

    task_id: TaskId
    challenge: Address


class SealedSession(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secrets of a task, sealed: HPKE's encapsulated key and ciphertext."""

    task_id: TaskId
    encapsulated: bytes
    ciphertext: bytes


class TaskSecrets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What the enclave of a task may know; the text form of this record shows none of it.

    Attributes:
        challenge_key: The private key of the task's challenge.
        dataset_key: The key of the deal's dataset as its owner pushed it (base64 of 32 bytes); empty without dataset. Where several
            vaults keep the key together, this is a share of it (`voisin.protocol.shamir`), and the terms name the others.
        beneficiary_key: The beneficiary's public key, ours or in PEM, if the result has to be sealed; empty if not.
        app_secret: What the app's owner gives to the app; empty for nothing.
        requester_secrets: What the requester gives to the app, by the number under which the deal names it.
        bulk_keys: The keys of the datasets of the request's list that the deal may open, by entry.
        terms: The terms of use of the deal's dataset, of which the enclave keeps its half; None for data without any.
        purpose: What the requester signed as purpose; empty for nothing.
        app_checksum: SHA-256 of the app's code, as the chain has it; the enclave runs no other. Empty where the vault does not know.
        dataset_checksum: SHA-256 of the encrypted dataset, likewise.
        bulk_terms: The terms of use of datasets of the list, by entry; those that have none are left out.
        bulk_checksums: SHA-256 of the encrypted datasets of the list, by entry.
        hold_key: Hex of a key for this task's result, when it waits for a release: the vault gives it to the reader then, and not
            before; empty when nothing is held. Where the terms let a rule release it, the enclave judges the rule, and seals for the
            reader at once what it lets pass.
    """

    challenge_key: Hash32
    dataset_key: str = ""
    beneficiary_key: str = ""
    app_secret: str = ""
    requester_secrets: dict[str, str] = {}
    bulk_keys: dict[Address, str] = {}
    terms: DataTerms | None = None
    purpose: str = ""
    app_checksum: str = ""
    dataset_checksum: str = ""
    bulk_terms: dict[Address, DataTerms] = {}
    bulk_checksums: dict[Address, str] = {}
    hold_key: str = ""

    def challenge_signer(self) -> KeySigner:
        """Give what the enclave signs its contribution with."""
        return KeySigner(from_hex(self.challenge_key))

    def environment(self) -> dict[str, str]:
        """
        Name what the app gets to see, as the protocol's apps expect it.

        Source: pool-semantics.md 2.5.
        """
        named = {f"IEXEC_REQUESTER_SECRET_{number}": value for number, value in self.requester_secrets.items()}
        if self.app_secret:
            named |= {"IEXEC_APP_DEVELOPER_SECRET": self.app_secret, "IEXEC_APP_DEVELOPER_SECRET_1": self.app_secret}
        return named

    def __repr__(self) -> str:
        return f"TaskSecrets({', '.join(name for name in self.__struct_fields__ if getattr(self, name))})"


class TaskShares(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What one of several keepers gives for a task; the text form of this record shows no share.

    The enclave heard the rules of the task from the keeper that made its challenge. It takes a share only if they are the same here:
    otherwise one keeper's word would suffice to use the others' shares on terms of its own.

    Attributes:
        task_id: The task.
        shares: Shares of the keys that it opens, by dataset.
        terms: Under which terms of use they are given, by dataset.
        app_checksum: SHA-256 of the app's code, as the chain has it.
        dataset_checksum: SHA-256 of the encrypted dataset, likewise.
        purpose: What the requester signed as purpose; empty for nothing.
    """

    task_id: TaskId
    shares: dict[Address, str]
    terms: dict[Address, DataTerms]
    app_checksum: str
    dataset_checksum: str
    purpose: str = ""

    def __repr__(self) -> str:
        return f"TaskShares({', '.join(self.shares)})"


class SessionKey:
    """An enclave's key pair for one session. Its text forms never show the private half."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        """
        Args:
            random_bytes: Draws as many random bytes as it is told; they must be fit for keys.
        """
        self._key = import_x25519_private_key(random_bytes(KEY_BYTES))

    @property
    def public(self) -> Hash32:
        """The public half, as a request carries it."""
        return Hash32(to_hex(_raw(self._key)))

    def open(self, sealed: SealedSession, request: SessionRequest, vault: VaultId) -> TaskSecrets:
        """
        Open what the vault answered.

        Args:
            sealed: The answer.
            request: What it answers.
            vault: Whom it was asked.

        Raises:
            TrustError: It is sealed for another key or request, was changed, or did not come from whoever made the task's challenge.
        """
        clear = self._unseal(sealed, request, _info(request, vault))
        secrets = decode(clear, TaskSecrets, "what the vault sealed")
        if secrets.challenge_signer().address != request.enclave:
            raise TrustError("the session is not from the vault that made the task's challenge", hint="ask that vault")
        return secrets

    def open_shares(self, sealed: SealedSession, request: SessionRequest, vault: VaultId) -> TaskShares:
        """
        Open what another keeper of shares answered. A lie shows when the joined key does not open the dataset.

        Args:
            sealed: The answer.
            request: What it answers; made with `SHARE_ACT`.
            vault: Whom it was asked.

        Raises:
            TrustError: It is sealed for another key or request, or was changed.
        """
        return decode(self._unseal(sealed, request, _share_info(request, vault)), TaskShares, "what the vault sealed")

    def _unseal(self, sealed: SealedSession, request: SessionRequest, info: bytes) -> bytes:
        refused = TrustError("the session is sealed for another key or request, or was changed", hint="ask the vault again")
        if sealed.task_id != request.task_id or request.session_key != self.public:
            raise refused
        try:
            box = HPKE.new(receiver_key=self._key, aead_id=HPKE.AEAD.AES256_GCM, enc=sealed.encapsulated, info=info)
            clear = box.unseal(sealed.ciphertext)
        except ValueError:
            raise refused from None
        assert isinstance(clear, bytes)
        return clear

    def __repr__(self) -> str:
        return f"SessionKey({self.public})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a SessionKey is not pickled: it holds a private key")


def challenge_lines(task: TaskId) -> dict[str, str]:
    """Say what the consent under `CHALLENGE_ACT` is about; the workerpool's owner gives it."""
    return {"task": task}


def session_lines(wish: SessionWish) -> dict[str, str]:
    """Say what the consent under `SESSION_ACT` is about; the worker gives it."""
    lines = {"task": wish.task_id, "enclave": wish.enclave, "session-key": wish.session_key, "evidence": hash32_of(encode(wish.evidence))}
    return {**lines, "bulk": hash32_of(encode(wish.bulk))} if wish.bulk else lines


def evidence_kind(text: str) -> str:
    """
    Name the kind of evidence that is kept as JSON.

    Raises:
        InputError: It is malformed.
    """
    return decode(text, _Kind, "the evidence").kind


def evidence_binding(wish: SessionWish, vault: VaultId, worker: Address) -> Hash32:
    """
    Give what hardware evidence must be made over, so that it counts for this session alone.

    The session key is fresh, so evidence over it is fresh too.
    """
    place = from_hex(vault.vault) + vault.chain_id.to_bytes(32, "big") + from_hex(vault.hub)
    return hash32_of(_INFO, place, from_hex(wish.task_id), from_hex(worker), from_hex(wish.enclave), from_hex(wish.session_key))


def request_session(
    worker: Signer, vault: VaultId, wish: SessionWish, *, nonce: Hash32, until: UnixSeconds, act: str = SESSION_ACT
) -> SessionRequest:
    """
    Sign a wish for a session.

    Args:
        worker: The worker's wallet.
        vault: The vault.
        wish: What is asked for.
        nonce: 32 random bytes that were never used before.
        until: Until when the request counts [Unix s].
        act: `SHARE_ACT` to ask another keeper of a shared key for its share.
    """
    consent = give_consent(worker, vault, act, session_lines(wish), nonce=nonce, until=until)
    return SessionRequest(
        task_id=wish.task_id,
        enclave=wish.enclave,
        session_key=wish.session_key,
        authorization=wish.authorization,
        evidence=wish.evidence,
        bulk=wish.bulk,
        consent=consent,
    )


def read_request(body: bytes) -> SessionRequest:
    """
    Read a request for a session.

    Raises:
        InputError: It is malformed, or its session key is none.
        TrustError: A signature is longer than any.
    """
    found = decode(body, SessionRequest, "the request for a session")
    from_hex(found.authorization)
    if len(found.bulk) > MAX_BULK:
        raise InputError(f"a task opens at most {MAX_BULK} datasets, not {len(found.bulk)}")
    _public_key(found.session_key)
    return msgspec.structs.replace(
        found,
        task_id=TaskId(as_hash32(found.task_id)),
        enclave=as_address(found.enclave),
        session_key=as_hash32(found.session_key),
        consent=canonical_consent(found.consent),
    )


def seal_secrets(secrets: TaskSecrets, request: SessionRequest, vault: VaultId) -> SealedSession:
    """
    Seal the secrets of a task to the key of the session that asked for them.

    The library draws the ephemeral key itself: HPKE is broken by one that is not fresh, so none can be given.

    Raises:
        InputError: The session key is none.
    """
    return _seal(encode(secrets), request, _info(request, vault))


def seal_shares(shares: TaskShares, request: SessionRequest, vault: VaultId) -> SealedSession:
    """
    Seal shares to the key of the session that asked for them; see `seal_secrets`.

    Raises:
        InputError: The session key is none.
    """
    return _seal(encode(shares), request, _share_info(request, vault))


def _seal(clear: bytes, request: SessionRequest, info: bytes) -> SealedSession:
    box = HPKE.new(receiver_key=_public_key(request.session_key), aead_id=HPKE.AEAD.AES256_GCM, info=info)
    ciphertext = box.seal(clear)
    return SealedSession(task_id=request.task_id, encapsulated=box.enc, ciphertext=ciphertext)


def requester_secret_numbers(names: Mapping[str, str]) -> dict[int, str]:
    """
    Read the `iexec_secrets` of a deal: the secrets' names by their numbers.

    Raises:
        InputError: A number is none, or is less than 1.
    """
    for number in names:
        if not (number.isascii() and number.isdigit() and len(number) <= 9 and number == str(int(number)) and int(number) >= 1):
            raise InputError(f"{number!r} is not the number of a secret", hint="secrets are numbered from 1")
    return {int(number): name for number, name in names.items()}


def _info(request: SessionRequest, vault: VaultId) -> bytes:
    return _INFO + consent_digest(vault, SESSION_ACT, session_lines(request), request.consent)


def _share_info(request: SessionRequest, vault: VaultId) -> bytes:
    return _SHARE_INFO + consent_digest(vault, SHARE_ACT, session_lines(request), request.consent)


def _public_key(text: str) -> EccKey:
    try:
        return import_x25519_public_key(from_hex(text))
    except ValueError:
        raise InputError("the session key is no X25519 public key", hint="it has 32 bytes") from None


def _raw(key: EccKey) -> bytes:
    exported = key.public_key().export_key(format="raw")
    assert isinstance(exported, bytes)
    return exported
