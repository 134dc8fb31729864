"""The vaults, as those who rent data out or rent it deal with them: the network's own, and others that keep keys together with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from voisin.client.links import Links
from voisin.client.services import Service
from voisin.client.vault import VaultDesk
from voisin.client.vault_terms import TermsDesk, push_shared
from voisin.errors import InputError, UnavailableError
from voisin.protocol.data_terms import DataTerms, Keeper
from voisin.protocol.ids import Address, OrderHash
from voisin.protocol.signatures import Signer
from voisin.protocol.vault_terms import TermsEntry, TermsPush


def require_vault(links: Links) -> VaultDesk:
    """
    Name the network's vault.

    Raises:
        InputError: There is none.
    """
    if links.vault is None:
        raise InputError("this network has no vault", hint="name one as vault_url in box.json")
    return links.vault


def terms_desk(links: Links) -> TermsDesk:
    """
    Name what the network's vault keeps of terms of use.

    Raises:
        InputError: There is no vault.
    """
    return TermsDesk(require_vault(links), links.chain.domain)


@asynccontextmanager
async def open_vaults(links: Links, others: Sequence[str]) -> AsyncIterator[list[TermsDesk]]:
    """
    Open vaults for as long as the context lasts: the network's own first, then others.

    Args:
        links: The network.
        others: Addresses; the network's own vault may be among them.

    Raises:
        InputError: The network has no vault.
    """
    own = require_vault(links)
    async with AsyncExitStack() as stack:
        desks = [own]
        for url in others:
            if url.rstrip("/") != own.service.base_url.rstrip("/"):
                desks.append(VaultDesk(await stack.enter_async_context(Service("vault", url)), time.time))
        yield [TermsDesk(desk, links.chain.domain) for desk in desks]


async def name_keepers(desks: Sequence[TermsDesk]) -> tuple[Keeper, ...]:
    """
    Name vaults as keepers of one key; none for a vault that keeps it alone.

    Raises:
        InputError: An address is none.
        UnavailableError: A vault does not answer.
    """
    return tuple([Keeper(vault=await desk.vault(), url=desk.url) for desk in desks]) if len(desks) > 1 else ()


async def entrust(desks: Sequence[TermsDesk], wallet: Signer, pushed: TermsPush) -> TermsEntry:
    """
    Push an order with its terms to the vaults that keep the key: the whole key to one, or a share to each of several.

    Args:
        desks: The vaults, in the order of the terms' keepers.
        wallet: The wallet of the dataset's owner.
        pushed: The order, the terms, and the whole key; an empty one where one vault has it.

    Raises:
        InputError: There is no key to share.
        TrustError: As for `TermsDesk.push`.
        StateError: Likewise.
    """
    if not pushed.terms.keepers:
        return await desks[0].push(wallet, pushed.order, pushed.terms, key=pushed.key)
    if not pushed.key:
        hint = "use the home folder and the wallet that protected the data"
        raise InputError("several vaults are to keep the key of the dataset, and it is not here", hint=hint)
    return (await push_shared(desks, wallet, pushed))[0]


async def revoke_at(desks: Sequence[TermsDesk], wallet: Signer, dataset: Address, order: OrderHash) -> list[str]:
    """
    Have vaults give nothing for an order any more; one that does not answer keeps the others from nothing.

    Args:
        desks: The vaults, the network's own first.
        wallet: The wallet of the dataset's owner.
        dataset: The dataset.
        order: The order.

    Returns:
        The addresses of those that did not answer.

    Raises:
        UnavailableError: The network's own vault does not answer.
        VoisinError: A vault refuses.
    """
    await desks[0].revoke(wallet, dataset, order)
    silent = []
    for desk in desks[1:]:
        try:
            await desk.revoke(wallet, dataset, order)
        except UnavailableError:
            silent.append(desk.url)
    return silent


@asynccontextmanager
async def vaults_of(links: Links, terms: DataTerms) -> AsyncIterator[list[TermsDesk]]:
    """
    Open the vaults that keep the key under some terms of use, the network's own first, wherever it is by now.

    Raises:
        InputError: The network has no vault.
        UnavailableError: The network's vault does not answer.
    """
    own = (await require_vault(links).vault_id()).vault if terms.keepers else None
    async with open_vaults(links, [keeper.url for keeper in terms.keepers if keeper.vault != own]) as desks:
        yield desks
