"""`python -m voisin.vault`: serve a vault, set up by VOISIN_VAULT_* variables, until it is interrupted."""

from __future__ import annotations

import sys
from functools import partial

from voisin.enclave.memory import close_doors
from voisin.service.program import Serve, run_service
from voisin.vault.opening import serve_vault
from voisin.vault.settings import VaultSettings


def main() -> int:
    """Serve; answers the exit code."""
    return run_service(_serving)


def _serving() -> Serve:
    settings = VaultSettings()
    close_doors()  # a core dump would have the keys in clear
    return partial(serve_vault, settings)


if __name__ == "__main__":
    sys.exit(main())
