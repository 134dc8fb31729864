"""What a contract says when it refuses, in words; and what only looks like words."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode

from voisin.chain.devnet.wire.errors import (
    BadParamsError,
    RefusedTransactionError,
    RpcError,
    foreign_error,
    revert_error,
    revert_reason,
)

STRING, PANIC = bytes.fromhex("08c379a0"), bytes.fromhex("4e487b71")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (STRING + encode(["string"], ["not enough"]), "not enough"),
        (STRING + encode(["string"], ["été"]), "été"),
        (STRING + encode(["string"], [""]), ""),
        (PANIC + encode(["uint256"], [0x11]), "panic: arithmetic underflow or overflow (0x11)"),
        (PANIC + encode(["uint256"], [0x32]), "panic: out-of-bounds access of an array or bytesN (0x32)"),
        (PANIC + encode(["uint256"], [0x99]), "panic: unknown (0x99)"),
        (b"", ""),
        (STRING, ""),
        (STRING + b"\xff" * 64, ""),
        (STRING + encode(["uint256", "uint256"], [32, 2**200]), ""),
        (STRING + encode(["bytes"], [b"\xff\xfe"]), ""),
        (PANIC + b"\1", ""),
        (bytes.fromhex("deadbeef") + bytes(32), ""),
    ],
)
def test_reason(data: bytes, reason: str) -> None:
    assert revert_reason(data) == reason
    error = revert_error(data)
    assert (error.reason, error.data) == (reason, data)
    assert error.message == (f"execution reverted: {reason}" if reason else "execution reverted")


def test_number_of_a_foreign_error_is_kept() -> None:
    assert isinstance(foreign_error(-32602, "bad"), BadParamsError)
    assert isinstance(foreign_error(-32003, "bad"), RefusedTransactionError)
    assert type(foreign_error(-1, "bad")) is RpcError
