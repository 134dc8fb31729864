"""The vault: keeps secrets for their owners, and hands them only to the enclaves of authorised tasks."""

from voisin.vault.keys import create_key_file
from voisin.vault.opening import Vault, open_vault, run_vault, serve_vault, vault_at
from voisin.vault.settings import VaultSettings

__all__ = ["Vault", "VaultSettings", "create_key_file", "open_vault", "run_vault", "serve_vault", "vault_at"]
