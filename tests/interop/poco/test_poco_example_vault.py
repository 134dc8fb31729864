"""The example `Vault` on the original: the published interfaces are true of it, and the example needs nothing that only our hub has."""

from __future__ import annotations

from tests.unit.contracts.test_example_vault import *  # noqa: F403
