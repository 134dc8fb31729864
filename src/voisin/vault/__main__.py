"""`python -m voisin.vault`: serve a vault, set up by VOISIN_VAULT_* variables, until it is interrupted."""

from __future__ import annotations

import sys
from functools import partial

from voisin.service.program import run_service
from voisin.vault.opening import serve_vault
from voisin.vault.settings import VaultSettings


def main() -> int:
    """Serve; answers the exit code."""
    return run_service(lambda: partial(serve_vault, VaultSettings()))


if __name__ == "__main__":
    sys.exit(main())
