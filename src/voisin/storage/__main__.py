"""`python -m voisin.storage`: serve a storage, set up by VOISIN_STORAGE_* variables, until it is interrupted."""

from __future__ import annotations

import sys
from functools import partial

from voisin.service.program import run_service
from voisin.storage.opening import serve_storage
from voisin.storage.settings import StorageSettings


def main() -> int:
    """Serve; answers the exit code."""
    return run_service(lambda: partial(serve_storage, StorageSettings()))


if __name__ == "__main__":
    sys.exit(main())
