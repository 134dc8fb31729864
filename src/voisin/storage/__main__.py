"""`python -m voisin.storage`: serve a storage, set up by VOISIN_STORAGE_* variables, until it is interrupted."""

from __future__ import annotations

import sys

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.storage.opening import serve_storage
from voisin.storage.settings import StorageSettings


def main() -> int:
    """Serve; answers the exit code."""
    try:
        settings = StorageSettings()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_storage, settings)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
