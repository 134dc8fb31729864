"""
Contracts that are part of the protocol.

Signatures, hashes and copies, which our contracts use, are written here. The arithmetic of pairings, of big moduli and of blobs is
py-evm's, imported when it is first asked for.

Sources: the Yellow Paper, appendix E; EIP-152, EIP-196, EIP-197, EIP-198, EIP-2537, EIP-2565, EIP-4844.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Final, cast

from coincurve import PublicKey
from Crypto.Hash import RIPEMD160

from voisin.chain.devnet.engines.hashing import keccak
from voisin.chain.devnet.engines.jit.effects import words
from voisin.chain.devnet.engines.jit.halts import HaltError, out_of_gas

SECP256K1_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_SIGNATURE_INPUT: Final = 128


def run_precompile(number: int, data: bytes, gas: int) -> tuple[int, bytes]:
    """
    Run one.

    Args:
        number: Its address.
        data: Its input.
        gas: Gas that it has.

    Returns:
        Gas left, and its output.

    Raises:
        HaltError: The gas does not suffice, or the input is refused.
    """
    own = _OWN.get(number)
    if own is None:
        return _run_rare(number, data, gas)
    base, per_word, run = own
    left = gas - base - per_word * words(len(data))
    if left < 0:
        raise out_of_gas()
    return left, run(data)


def _recover(data: bytes) -> bytes:
    """Address that has signed a hash; empty when nobody can have."""
    data = data[:_SIGNATURE_INPUT].ljust(_SIGNATURE_INPUT, b"\0")
    v, r, s = (int.from_bytes(data[at : at + 32]) for at in (32, 64, 96))
    if v not in (27, 28) or not 0 < r < SECP256K1_ORDER or not 0 < s < SECP256K1_ORDER:
        return b""
    try:
        key = PublicKey.from_signature_and_message(data[64:] + bytes([v - 27]), data[:32], hasher=None)
    except ValueError:  # coincurve: no point of the curve has this r
        return b""
    return bytes(12) + keccak(key.format(compressed=False)[1:])[12:]


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _ripemd160(data: bytes) -> bytes:
    return bytes(12) + RIPEMD160.new(data).digest()


_OWN: Final[dict[int, tuple[int, int, Callable[[bytes], bytes]]]] = {
    1: (3_000, 0, _recover),
    2: (60, 12, _sha256),
    3: (600, 120, _ripemd160),
    4: (15, 3, bytes),
}
"""By address: gas, gas for each word of input, and what it does."""


class _Rare:
    """What py-evm's functions know of the message that runs them."""

    def __init__(self, data: bytes, gas: int) -> None:
        self.msg = SimpleNamespace(data=data, data_as_bytes=data)
        self.gas = gas
        self.output = b""

    def consume_gas(self, amount: int, reason: str) -> None:
        """Take gas."""
        del reason
        self.gas -= amount
        if self.gas < 0:
            raise out_of_gas()


@cache
def _rare() -> dict[bytes, Callable[[_Rare], object]]:
    from eth.vm.forks.prague.computation import PRAGUE_PRECOMPILES

    return cast("dict[bytes, Callable[[_Rare], object]]", PRAGUE_PRECOMPILES)


def _run_rare(number: int, data: bytes, gas: int) -> tuple[int, bytes]:
    from eth.exceptions import VMError

    message = _Rare(data, gas)
    try:
        _rare()[number.to_bytes(20)](message)
    except VMError as error:
        raise HaltError(str(error)) from error
    return message.gas, bytes(message.output)
