"""
Protecting a dataset, step by step: encrypt it, store it, register it. Each step is written into the diary when it is done.

Whatever breaks off goes on where it was when it is asked for again, and what is done is not done twice: the key of a source that is
still the same is the same, its file is stored under its hash, and its entry has the one address that follows from its content.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio.to_thread
import msgspec

from voisin.chain import calls
from voisin.client.data.drafts import Draft, draft_id, open_key, seal_key
from voisin.client.data.owner import Owner
from voisin.client.data.sources import Source, look_at, open_source
from voisin.client.data.steps import Step, Told
from voisin.client.data.tables import schema_of
from voisin.client.links import Links
from voisin.errors import InputError, StateError
from voisin.protocol.datasets import encrypt_dataset, new_dataset_key, seal_dataset
from voisin.protocol.digests import BackgroundSha256
from voisin.protocol.ids import Address, Hash32
from voisin.protocol.records import DatasetInfo

VOISIN: Final = "voisin"
ECOSYSTEM: Final = "ecosystem"
FORMS: Final = (VOISIN, ECOSYSTEM)
"""How a dataset can be encrypted: in our own form, or in that of the protocol's other clients."""
_MAX_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """
    How a dataset is protected.

    Attributes:
        name: What the registry calls it; the file's own name unless given. Everybody can read it.
        form: One of `FORMS`.
        has_schema: Whether a renter may see what it holds: sizes, paths, columns and types.
        is_table: Whether a file that is named as a table is read as one.
    """

    name: str = ""
    form: str = VOISIN
    has_schema: bool = True
    is_table: bool = True

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise InputError(f"{self.form!r} is not a form of encrypted data", hint=f"one of {', '.join(FORMS)}")
        if len(self.name) > _MAX_NAME:
            raise InputError(f"a name of {len(self.name)} characters is too long", hint=f"at most {_MAX_NAME}")


class Protector:
    """Protects the data of one wallet."""

    def __init__(self, owner: Owner) -> None:
        """
        Args:
            owner: The owner.
        """
        self._owner = owner
        self._links, self._diary, self._tell = owner.links, owner.diary, owner.tell

    async def protect(self, path: Path, wrapping: Wrapping) -> Draft:
        """
        Encrypt, store and register a file or folder, as far as that is not done.

        Args:
            path: The file or folder.
            wrapping: How.

        Returns:
            The draft, which has an entry.

        Raises:
            InputError: It cannot be read, or a draft or the encrypted file cannot be written.
            StateError: It changed while it was read.
            UnavailableError: The storage or the chain does not answer; ask again later.
        """
        source = await anyio.to_thread.run_sync(look_at, path)
        draft = await self._begin(source, wrapping)
        if not draft.multiaddr:
            draft = await self._store(source, draft)
        else:
            self._tell(Told(Step.STORED, draft.multiaddr, is_new=False))
        return await self._register(draft)

    def key(self, draft: Draft) -> str:
        """Open the key of a draft with the wallet."""
        return open_key(self._owner.signer, draft)

    async def _begin(self, source: Source, wrapping: Wrapping) -> Draft:
        name = wrapping.name or source.path.name
        spelled = f"{source.state}\n{wrapping.has_schema}\n{wrapping.is_table}"
        hub = self._links.chain.hub_address
        own_id = draft_id(self._owner.address, hub, name, wrapping.form, spelled)
        found = self._diary.find(own_id)
        if found is not None:
            open_key(self._owner.signer, found)
            self._tell(Told(Step.KEY_MADE, str(self._diary.folder), is_new=False))
            return found
        schema = None
        if wrapping.has_schema:
            schema = await anyio.to_thread.run_sync(lambda: schema_of(source, is_table=wrapping.is_table))
            self._tell(Told(Step.LOOKED_AT, schema.form.value))
        key = new_dataset_key(secrets.token_bytes)
        draft = Draft(
            id=own_id,
            owner=self._owner.address,
            hub=hub,
            name=name,
            path=str(source.path),
            form=wrapping.form,
            sealed_key=seal_key(self._owner.signer, own_id, key, secrets.token_bytes(12)),
            schema=schema,
        )
        self._diary.keep(draft)
        self._tell(Told(Step.KEY_MADE, str(self._diary.folder)))
        return draft

    async def _store(self, source: Source, draft: Draft) -> Draft:
        """Encrypt and store; the encrypted file is there until it is stored, and if it is there whole, it is not made again."""
        target, key = self._diary.sealed_file(draft.id), self.key(draft)
        if draft.checksum is None or not target.exists() or target.stat().st_size != draft.size_bytes:
            checksum = await anyio.to_thread.run_sync(lambda: encrypt(source, target, key, draft.form))
            source.require_same()
            draft = self._diary.keep(msgspec.structs.replace(draft, checksum=checksum, size_bytes=target.stat().st_size))
            self._tell(Told(Step.ENCRYPTED, f"{draft.size_bytes} bytes"))
        else:
            self._tell(Told(Step.ENCRYPTED, f"{draft.size_bytes} bytes", is_new=False))
        if draft.form == ECOSYSTEM:
            multiaddr = f"/ipfs/{await self._links.storage.add_file(target)}"
        else:
            multiaddr = f"/ipfs/{await self._links.storage.put_file(target)}"
        draft = self._diary.keep(msgspec.structs.replace(draft, multiaddr=multiaddr))
        target.unlink(missing_ok=True)
        self._tell(Told(Step.STORED, multiaddr))
        return draft

    async def _register(self, draft: Draft) -> Draft:
        assert draft.checksum is not None
        chain = self._links.chain
        info = DatasetInfo(owner=draft.owner, name=draft.name, multiaddr=draft.multiaddr.encode(), checksum=draft.checksum)
        entry = draft.entry or await chain.registries.predict_dataset(info.owner, info.name, info.multiaddr, info.checksum)
        is_there = await chain.registries.is_dataset(entry)
        if not is_there:
            await self._owner.wallet.sender.send(calls.create_dataset(chain.dataset_registry, info))
        if draft.entry is None:
            draft = self._diary.keep(msgspec.structs.replace(draft, entry=entry))
        self._tell(Told(Step.REGISTERED, entry, is_new=not is_there))
        return draft


def encrypt(source: Source, target: Path, key: str, form: str) -> Hash32:
    """
    Encrypt a source into a file, in pieces.

    Args:
        source: What.
        target: Where to; it is there only when it is whole.
        key: The key in base64.
        form: One of `FORMS`.

    Returns:
        SHA-256 of the encrypted file.

    Raises:
        InputError: Something cannot be read or written.
    """
    partial = target.with_suffix(".part-sealed")
    try:
        with open_source(source) as clear, partial.open("wb") as sealed, BackgroundSha256() as digest:
            seal = seal_dataset if form == VOISIN else encrypt_dataset
            checksum = seal(clear, sealed, key, secrets.token_bytes, digest=digest)
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{error.filename or source.path} cannot be read or written: {error.strerror}", hint="check the path") from None
    finally:
        partial.unlink(missing_ok=True)
    return checksum


async def require_owner(links: Links, dataset: Address, owner: Address) -> None:
    """
    See that a wallet owns a dataset.

    Raises:
        StateError: There is no such dataset, or somebody else owns it.
    """
    found = await links.chain.registries.owner_of(dataset)
    if found != owner:
        raise StateError(f"{dataset} is owned by {found}, not by {owner}", hint="choose that wallet with --wallet")
