"""The network's vault, as those who rent data out or rent it deal with it."""

from __future__ import annotations

from voisin.client.links import Links
from voisin.client.vault import VaultDesk
from voisin.client.vault_terms import TermsDesk
from voisin.errors import InputError


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
