"""`python -m voisin.index`: serve an index, set up by VOISIN_INDEX_* variables, until it is interrupted."""

from __future__ import annotations

import sys

import anyio
from pydantic import ValidationError

from voisin.errors import VoisinError
from voisin.index.opening import serve_index
from voisin.index.settings import IndexSettings


def main() -> int:
    """Serve; answers the exit code."""
    try:
        settings = IndexSettings()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_index, settings)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
