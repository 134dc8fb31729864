"""What the unit tests say of orders signed and closed on the chain holds for the original too."""

from tests.unit.contracts.test_manage_orders import *  # noqa: F403
