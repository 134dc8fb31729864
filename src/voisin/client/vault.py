"""The vault over HTTP, as its clients see it: push, find, list and delete secrets, and see who used them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping

from voisin.client.services import Service
from voisin.protocol.consent import CONSENT_HEADER, VaultId, give_consent, write_consent
from voisin.protocol.ids import Hash32, to_hex
from voisin.protocol.secrets import (
    DELETE_ACT,
    LIST_ACT,
    PUSH_ACT,
    RELEASES_ACT,
    Release,
    ReleasePage,
    SecretEntry,
    SecretPage,
    SecretRef,
    SecretValue,
    VaultView,
    delete_lines,
    push_lines,
)
from voisin.protocol.signatures import Signer
from voisin.units import UnixSeconds

CONSENT_S = 120
"""How long a consent counts [s]: long enough for a slow network, short enough to be of no use later."""

_ABSENT = "no-such-secret"


class VaultDesk:
    """A vault. Values go in and never come out here: only enclaves get them."""

    def __init__(self, service: Service, wall: Callable[[], float]) -> None:
        """
        Args:
            service: The vault.
            wall: This machine's clock [Unix s].
        """
        self.service = service
        self._wall = wall

    async def view(self) -> VaultView:
        """Tell which vault this is."""
        return await self.service.read("/v1/vault", VaultView)

    async def find(self, ref: SecretRef) -> SecretEntry | None:
        """Find out whether there is a secret; None when there is none."""
        return await self.service.find(_path(ref), SecretEntry, _query(ref), absent=_ABSENT)

    async def push(self, wallet: Signer, ref: SecretRef, value: SecretValue, *, replace: bool = False) -> SecretEntry:
        """
        Keep a secret.

        Args:
            wallet: Its owner's wallet.
            ref: Which.
            value: Its value.
            replace: Whether one that is there is replaced, and only such a one.

        Raises:
            InputError: There is one already, or none to replace.
            TrustError: The wallet does not own it.
        """
        headers = await self.consent(wallet, PUSH_ACT, push_lines(ref, value))
        headers["content-type"] = "text/plain; charset=utf-8"
        method = "PUT" if replace else "POST"
        return await self.service.call(
            method, _path(ref), SecretEntry, filters=_query(ref), headers=headers, content=value.expose().encode()
        )

    async def delete(self, wallet: Signer, ref: SecretRef) -> SecretEntry:
        """
        Delete a secret: from then on no enclave gets it.

        Raises:
            InputError: There is none.
            TrustError: The wallet does not own it.
        """
        headers = await self.consent(wallet, DELETE_ACT, delete_lines(ref))
        return await self.service.call("DELETE", _path(ref), SecretEntry, filters=_query(ref), headers=headers)

    async def entries(self, wallet: Signer) -> tuple[SecretEntry, ...]:
        """List what a wallet pushed, names only."""
        headers = await self.consent(wallet, LIST_ACT, {})
        return (await self.service.call("GET", "/v1/secrets", SecretPage, filters={"owner": wallet.address}, headers=headers)).secrets

    async def uses(self, wallet: Signer) -> AsyncGenerator[Release, None]:
        """Go through the uses of a wallet's secrets, newest first."""
        before: int | None = None
        while True:
            headers = await self.consent(wallet, RELEASES_ACT, {})
            filters = {"owner": wallet.address, "before": before}
            page = await self.service.call("GET", "/v1/releases", ReleasePage, filters=filters, headers=headers)
            for release in page.releases:
                yield release
            if (before := page.next) is None:
                return

    async def vault_id(self) -> VaultId:
        """Tell which vault this is, as consents name it."""
        view = await self.view()
        return VaultId(vault=view.vault, chain_id=view.chain_id, hub=view.hub)

    async def consent(self, wallet: Signer, act: str, about: Mapping[str, str]) -> dict[str, str]:
        """
        Sign an act for this vault.

        Args:
            wallet: Whose wish it is.
            act: What the vault shall do.
            about: To what.

        Returns:
            The header that carries the consent.
        """
        until = UnixSeconds(int(self._wall()) + CONSENT_S)
        nonce = Hash32(to_hex(secrets.token_bytes(32)))
        signed = give_consent(wallet, await self.vault_id(), act, about, nonce=nonce, until=until)
        return {CONSENT_HEADER: write_consent(signed)}


def _path(ref: SecretRef) -> str:
    return f"/v1/secrets/{ref.kind.value}/{ref.holder}"


def _query(ref: SecretRef) -> dict[str, str | int | None]:
    return {"name": ref.name or None}
