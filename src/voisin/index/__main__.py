"""`python -m voisin.index`: serve an index, set up by VOISIN_INDEX_* variables, until it is interrupted."""

from __future__ import annotations

import sys
from functools import partial

from voisin.index.opening import serve_index
from voisin.index.settings import IndexSettings
from voisin.service.program import run_service


def main() -> int:
    """Serve; answers the exit code."""
    return run_service(lambda: partial(serve_index, IndexSettings()))


if __name__ == "__main__":
    sys.exit(main())
