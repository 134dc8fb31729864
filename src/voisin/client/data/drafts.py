"""
The diary of what is being protected: each step is written down when it is done, so that a broken-off one goes on where it was.

The dataset's key is in it before anything leaves this machine, sealed under the owner's wallet: the file is of no use without it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voisin.errors import InputError, TrustError
from voisin.protocol.codec import decode, encode
from voisin.protocol.data_schema import DataSchema
from voisin.protocol.data_terms import DataTerms
from voisin.protocol.ids import Address, Hash32, OrderHash
from voisin.protocol.signatures import KeySigner
from voisin.units import UnixSeconds

DATA_FOLDER: Final = "data"
_INFO: Final = b"voisin dataset key 1"
_NONCE: Final = 12
_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_RECORD: Final = ".json"
RecordT = TypeVar("RecordT")


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What is known of a dataset that its owner protects; a member that is empty is still to be done.

    Attributes:
        id: Its name in the folder.
        owner: Whose it is.
        hub: On which market.
        name: What the registry calls it.
        path: The file or folder.
        form: How it is encrypted, `voisin` or `ecosystem`.
        sealed_key: Its key, under the owner's wallet.
        schema: What a renter may see.
        checksum: SHA-256 of the encrypted file.
        size_bytes: Its size [bytes].
        multiaddr: Where it lies.
        entry: Its entry in the registry.
    """

    id: str
    owner: Address
    hub: Address
    name: str
    path: str
    form: str
    sealed_key: bytes
    schema: DataSchema | None = None
    checksum: Hash32 | None = None
    size_bytes: int = 0
    multiaddr: str = ""
    entry: Address | None = None


class OfferNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    How far an offer of a dataset has come; the same wish goes on with the same nonce and gates, and so makes the same order.

    Attributes:
        begun_at: What spans such as `30d` count from [Unix s].
        nonce: The nonce of its terms.
        gate: The gate of its requesters; None while there is none.
        roster: The gate of its apps and workerpools; None while there is none.
        order_hash: The order, once it is published.
        terms: Its terms of use, for a vault that has forgotten them; None in notes of before they were kept.
        is_revoked: Whether the owner took it back: it is never pushed again.
    """

    begun_at: UnixSeconds
    nonce: Hash32
    gate: Address | None = None
    roster: Address | None = None
    order_hash: OrderHash | None = None
    terms: DataTerms | None = None
    is_revoked: bool = False


class Diary:
    """The drafts in a home folder."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: Where they lie; made when it is needed.
        """
        self.folder = folder

    def find(self, draft_id: str) -> Draft | None:
        """
        Read a draft; None when there is none.

        Raises:
            InputError: It cannot be read.
        """
        return self.read_page(self._path(draft_id), Draft)

    def of_entry(self, entry: Address) -> Draft | None:
        """Find the draft of a dataset by its entry; None when it was protected elsewhere."""
        return next((draft for draft in self.drafts() if draft.entry == entry), None)

    def drafts(self) -> Iterator[Draft]:
        """Go through all drafts, in the order of their ids."""
        for path in sorted(self.folder.glob(f"*{_RECORD}")) if self.folder.is_dir() else []:
            found = self.find(path.stem)
            if found is not None:
                yield found

    def keep(self, draft: Draft) -> Draft:
        """
        Write a draft, all or nothing, and see it on the disk.

        Raises:
            InputError: It cannot be written.
        """
        self.write_page(self._path(draft.id), draft)
        return draft

    def offers(self, dataset: Address) -> dict[str, OfferNote]:
        """
        Read how far the offers of a dataset have come, by their wishes.

        Raises:
            InputError: They cannot be read.
        """
        return self.read_page(self._offers(dataset), dict[str, OfferNote]) or {}

    def note(self, dataset: Address, wish: str, note: OfferNote) -> OfferNote:
        """
        Write down how far an offer has come.

        Args:
            dataset: The dataset.
            wish: What tells the offer from others of the dataset.
            note: How far it is.

        Raises:
            InputError: It cannot be written.
        """
        self.write_page(self._offers(dataset), {**self.offers(dataset), wish: note})
        return note

    def read_page(self, path: Path, kind: type[RecordT]) -> RecordT | None:
        """
        Read a page; None when there is none.

        Args:
            path: Its file.
            kind: What is on it.

        Raises:
            InputError: It cannot be read.
        """
        try:
            return decode(path.read_bytes(), kind, f"the diary's page {path}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None

    def write_page(self, path: Path, record: object) -> None:
        """
        Write a page, all or nothing, and see it on the disk.

        Args:
            path: Its file.
            record: What is on it.

        Raises:
            InputError: It cannot be written.
        """
        partial = path.with_suffix(".part")
        try:
            self.folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "wb") as file:
                file.write(encode(record))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror}", hint="check the folder and its room") from None

    def sealed_file(self, draft_id: str) -> Path:
        """Name where the encrypted file is put together before it is stored."""
        return self.folder / f"{draft_id}.sealed"

    def _offers(self, dataset: Address) -> Path:
        return self.folder / f"{dataset}.offers"

    def _path(self, draft_id: str) -> Path:
        return self.folder / f"{draft_id}{_RECORD}"


def draft_id(owner: Address, hub: Address, name: str, form: str, state: str) -> str:
    """Name the draft of a source as it is: another owner, market, name, form or content makes another one."""
    return hashlib.sha256("\n".join((owner, hub, name, form, state)).encode()).hexdigest()[:32]


def seal_key(wallet: KeySigner, draft_id: str, key: str, nonce: bytes) -> bytes:
    """
    Seal a dataset's key under a wallet.

    Args:
        wallet: The owner's wallet.
        draft_id: The draft that it belongs to.
        key: The key.
        nonce: 12 fresh random bytes.
    """
    return nonce + _box(wallet, draft_id).encrypt(nonce, key.encode(), draft_id.encode())


def open_key(wallet: KeySigner, draft: Draft) -> str:
    """
    Open the key of a draft.

    Raises:
        TrustError: It was sealed under another wallet, or was changed.
    """
    nonce, sealed = draft.sealed_key[:_NONCE], draft.sealed_key[_NONCE:]
    try:
        return _box(wallet, draft.id).decrypt(nonce, sealed, draft.id.encode()).decode()
    except (InvalidTag, ValueError):
        raise TrustError(
            f"the key of {draft.name} does not open with wallet {wallet.address}", hint=f"use the wallet that protected it, {draft.owner}"
        ) from None


def _box(wallet: KeySigner, draft_id: str) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=draft_id.encode(), info=_INFO).derive(wallet.expose_key()))
