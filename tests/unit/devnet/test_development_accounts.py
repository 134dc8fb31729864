"""The development accounts are those that every tool knows, derived as another library derives them, and cost little to load."""

from __future__ import annotations

import subprocess
import sys

from eth_account.hdaccount import key_from_seed, seed_from_mnemonic

from tests.support.devnet import ADDRESSES, KEYS
from voisin.chain.devnet import TEST_MNEMONIC, development_keys


def test_the_first_are_those_of_the_documentation() -> None:
    found = development_keys(len(KEYS))
    assert [key.address for key in found] == list(ADDRESSES)
    assert ["0x" + key.expose_key().hex() for key in found] == list(KEYS)


def test_many_are_as_another_library_derives_them() -> None:
    seed = seed_from_mnemonic(TEST_MNEMONIC, "")
    assert [key.expose_key() for key in development_keys(100)] == [key_from_seed(seed, f"m/44'/60'/0'/0/{n}") for n in range(100)]


def test_a_box_starts_without_libraries_that_are_slow_to_load() -> None:
    slow = ("eth_account", "eth.", "py_ecc", "vyper", "web3")
    program = f"import sys, voisin.box.service; print([name for name in sys.modules if name.startswith({slow!r})])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
