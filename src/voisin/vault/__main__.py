"""`python -m voisin.vault`: serve a vault, set up by VOISIN_VAULT_* variables, until it is interrupted."""

from __future__ import annotations

import sys

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.vault.opening import serve_vault
from voisin.vault.settings import VaultSettings


def main() -> int:
    """Serve; answers the exit code."""
    try:
        settings = VaultSettings()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_vault, settings)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
