"""
Secrets of the wallet: what enclaves may know, and nobody else.

    async with voisin.connect_async() as cloud:
        await cloud.secrets.push("requester", token, name="my-token")
        await cloud.secrets.create_result_key()
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio.to_thread

from voisin.client.keys import ReaderKeys
from voisin.client.links import Links
from voisin.client.terms import Terms
from voisin.client.vault import VaultDesk
from voisin.errors import InputError
from voisin.protocol.ids import Address, as_address
from voisin.protocol.secrets import RESULT_KEY, Release, SecretEntry, SecretKind, SecretRef, SecretValue, checked_ref
from voisin.protocol.signatures import KeySigner

RESULT_KEY_FORMS = ("voisin", "ecosystem")


class AsyncSecrets:
    """The secrets of a wallet in the network's vault."""

    def __init__(self, links: Links, wallet: Callable[[], Awaitable[KeySigner]]) -> None:
        """
        Args:
            links: The network.
            wallet: Opens the wallet.
        """
        self._links = links
        self._wallet = wallet

    async def push(self, kind: str, value: str, *, holder: str | None = None, name: str = "", replace: bool = False) -> SecretEntry:
        """
        Keep a secret.

        Args:
            kind: `dataset`, `app`, `requester` or `named`.
            value: Its value, up to 4096 bytes; a dataset's is the key that it is encrypted with.
            holder: The dataset or app; for the other kinds the wallet itself.
            name: Its name, for the kinds `requester` and `named`.
            replace: Whether one that is there is replaced, and only such a one; the kind `named` only.

        Raises:
            InputError: It is malformed, there is one already, or none to replace.
            TrustError: The wallet does not own the dataset or app.
        """
        wallet = await self._wallet()
        return await self._vault.push(wallet, _ref(kind, holder or wallet.address, name), SecretValue(value), replace=replace)

    async def check(self, kind: str, *, holder: str | None = None, name: str = "") -> SecretEntry | None:
        """
        Find out whether there is a secret; its value never comes out.

        Args:
            kind: As in `push`.
            holder: The dataset, app or account; the wallet itself unless given.
            name: As in `push`.
        """
        return await self._vault.find(_ref(kind, holder or (await self._wallet()).address, name))

    async def entries(self) -> list[SecretEntry]:
        """List what the wallet pushed, names only."""
        return list(await self._vault.entries(await self._wallet()))

    async def delete(self, kind: str, *, holder: str | None = None, name: str = "") -> SecretEntry:
        """
        Delete a secret: from then on no enclave gets it.

        Args:
            kind: As in `push`.
            holder: As in `push`.
            name: As in `push`.

        Raises:
            InputError: There is none.
            TrustError: The wallet does not own it.
        """
        wallet = await self._wallet()
        return await self._vault.delete(wallet, _ref(kind, holder or wallet.address, name))

    async def uses(self) -> list[Release]:
        """List the uses of the wallet's secrets, newest first: when, in which task, by whose worker, on what evidence."""
        return [release async for release in self._vault.uses(await self._wallet())]

    async def create_result_key(self, *, form: str = "voisin") -> SecretEntry:
        """
        Make a key pair, push its public half, and keep the private one in the home folder: results can then be sealed for the wallet.

        Older private keys stay, and open the results of their time.

        Args:
            form: `voisin`: sealed results are authenticated, and their size says little. `ecosystem`: as the protocol's own clients
                make and read them, with an RSA key.

        Raises:
            InputError: The private half cannot be written, or the form is unknown.
        """
        wallet = await self._wallet()
        ref = SecretRef(SecretKind.NAMED, wallet.address, RESULT_KEY)
        if form not in RESULT_KEY_FORMS:
            raise InputError(f"there is no form {form!r} of sealed results", hint=f"forms are {', '.join(RESULT_KEY_FORMS)}")
        keys, is_foreign = self._keys, form == "ecosystem"
        public = await anyio.to_thread.run_sync(lambda: keys.create(wallet.address, is_foreign=is_foreign))
        is_there = await self._vault.find(ref) is not None
        return await self._vault.push(wallet, ref, SecretValue(public), replace=is_there)

    @property
    def _vault(self) -> VaultDesk:
        if self._links.vault is None:
            raise InputError("this network has no vault", hint="name one as vault_url in box.json")
        return self._links.vault

    @property
    def _keys(self) -> ReaderKeys:
        if self._links.keys is None:
            raise InputError("there is no home folder for private keys", hint="connect with one")
        return self._links.keys


async def require_secrets(links: Links, requester: Address, terms: Terms) -> None:
    """
    See that the vault has every secret that a run needs; a task that lacks one could only fail.

    Args:
        links: The network.
        requester: Who asks for the run, and reads its result.
        terms: The run's terms.

    Raises:
        InputError: One of them is not there, or the network has no vault.
    """
    wanted = {checked_ref(SecretRef(SecretKind.REQUESTER, requester, name)): "push" for name in terms.secrets.values()}
    if terms.sealed:
        wanted[SecretRef(SecretKind.NAMED, requester, RESULT_KEY)] = "result-key"
    if wanted and links.vault is None:
        raise InputError("this network has no vault", hint="name one as vault_url in box.json")
    for ref, verb in wanted.items():
        if links.vault is not None and await links.vault.find(ref) is None:
            raise InputError(f"the vault has no {ref}", hint=f"make it with `voisin secret {verb}`")


def _ref(kind: str, holder: str | Address, name: str) -> SecretRef:
    try:
        known = SecretKind(kind)
    except ValueError:
        raise InputError(f"{kind!r} is no kind of secret", hint=f"the kinds are {', '.join(SecretKind)}") from None
    return checked_ref(SecretRef(known, as_address(holder), name))
