"""What the unit tests say of datasets for bulk deals holds for the original too."""

from tests.unit.contracts.test_dataset_compatibility import *  # noqa: F403

# the published 6.1.0 does not yet mask the framework bits of dataset tags
del test_kinds_of_enclave_are_nobodys_business  # noqa: F821
