"""Whether anvil is there to be compared with."""

from __future__ import annotations

import os

import pytest

from voisin.chain.devnet.anvil import find_anvil
from voisin.errors import UnavailableError


def require_anvil() -> None:
    """Skip the test where anvil is not installed; in the continuous integration that is an error."""
    try:
        find_anvil()
    except UnavailableError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
