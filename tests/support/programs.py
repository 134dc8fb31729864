"""Random contract code from a seed: mostly valid, biased to what changes state, so that two engines can be compared on it."""

from __future__ import annotations

import random
from collections.abc import Sequence

# Every opcode of the Prague fork, but PUSH, DUP above 2 and SWAP above 2, which `program` writes itself.
OPCODES = bytes.fromhex(
    "0102030405060708090a0b" "10111213141516171819" "1a1b1c1d" "20" "303132333435363738393a3b3c3d3e3f"
    "404142434445464748494a" "5051525354555658595a5b5c5d5e5f" "808190919192" "a0a1a2a3a4" "f0f1f2f3f4f5fafdfeff"
)  # fmt: skip
INTERESTING = (0, 1, 2, 5, 31, 32, 64, 100, 255, 2**16 - 1)


def program(rng: random.Random, length: int, *, addresses: Sequence[bytes], without: bytes = b"") -> bytes:
    """
    Write random code.

    Args:
        rng: Where chance comes from.
        length: Number of instructions.
        addresses: Accounts that it may look at and call.
        without: Opcodes that it must not use.
    """
    code = b""
    opcodes = [opcode for opcode in OPCODES if opcode not in without]
    for _ in range(length):
        dice = rng.random()
        if dice < 0.42:
            code += b"\x61" + rng.choice((*INTERESTING, rng.getrandbits(16))).to_bytes(2, "big")
        elif dice < 0.46:
            code += b"\x7f" + rng.getrandbits(256).to_bytes(32, "big")
        elif dice < 0.52:
            code += b"\x73" + rng.choice(addresses)
        elif dice < 0.56:
            code += _store(rng)
        elif dice < 0.60:
            code += _call(rng, rng.choice(addresses))
        else:
            code += bytes([rng.choice(opcodes)])
    return code


def padded(code: bytes) -> bytes:
    """Code behind a dozen pushes, so that few instructions find the stack empty."""
    return b"\x61\x00\x01" * 12 + code


def deployer(runtime: bytes) -> bytes:
    """Init code that deploys `runtime`."""
    return b"\x61" + len(runtime).to_bytes(2, "big") + b"\x80\x60\x0a\x5f\x39\x5f\xf3" + runtime


def _store(rng: random.Random) -> bytes:
    """SSTORE or TSTORE of a small value in a small slot, so that slots are written again and refunds arise."""
    return bytes([0x60, rng.randrange(3), 0x60, rng.randrange(4), rng.choice((0x55, 0x55, 0x5D))])


def _call(rng: random.Random, target: bytes) -> bytes:
    """One of the four calls, with small windows of memory."""
    kind = rng.choice((0xF1, 0xF2, 0xF4, 0xFA))
    windows = bytes([0x60, rng.randrange(64), 0x5F, 0x60, rng.randrange(64), 0x5F])
    value = bytes([0x60, rng.choice((0, 0, 1))]) if kind in (0xF1, 0xF2) else b""
    gas = b"\x5a" if rng.random() < 0.7 else b"\x61" + rng.getrandbits(16).to_bytes(2, "big")
    return windows + value + b"\x73" + target + gas + bytes([kind])
