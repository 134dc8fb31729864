"""
What the node answers when it cannot do what a client asks.

    RpcError                      -32000   state of the chain: block not known, execution failed
    ├── UnreadableError           -32700   the bytes are not JSON
    ├── BadRequestError           -32600   the JSON is not a JSON-RPC 2.0 request
    ├── UnknownMethodError        -32601
    ├── BadParamsError            -32602   says which parameter, and what is wrong with it
    ├── RefusedTransactionError   -32003   a transaction that no block may hold
    └── LimitError                -32005   too much asked for at once

A call that a contract refuses is the tree's own `RevertError`; on the wire it has code 3, as in geth.

Source: JSON-RPC 2.0, section 5.1; EIP-1474.
"""

from __future__ import annotations

from typing import ClassVar

from voisin.chain.abi_codec import NUMBER, TEXT, DecodingError, decode_abi
from voisin.errors import RevertError, VoisinError

REVERT_CODE = 3
INTERNAL_CODE = -32603
_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
# Solidity documentation, "Panic via assert and Error via require"
_PANICS = {
    0x00: "generic panic",
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}


class RpcError(VoisinError):
    """The node cannot answer; `rpc_code` is the number that goes over the wire."""

    code = "rpc-refused"
    rpc_code: ClassVar[int] = -32000


def foreign_error(code: int, message: str) -> RpcError:
    """
    Turn another node's error into ours.

    Args:
        code: Its number on the wire.
        message: Its words.

    Returns:
        The error with the same number, or the general one where we have no such number.
    """
    kinds: dict[int, type[RpcError]] = {kind.rpc_code: kind for kind in RpcError.__subclasses__()}
    return kinds.get(code, RpcError)(message)


class UnreadableError(RpcError):
    """The bytes received are not JSON."""

    rpc_code = -32700


class BadRequestError(RpcError):
    """The JSON received is not a JSON-RPC 2.0 request."""

    rpc_code = -32600


class UnknownMethodError(RpcError):
    """The node has no method of this name."""

    rpc_code = -32601


class BadParamsError(RpcError):
    """A parameter is missing, surplus or malformed."""

    rpc_code = -32602


class RefusedTransactionError(RpcError):
    """The transaction can never be part of a block as it is."""

    rpc_code = -32003


class LimitError(RpcError):
    """More was asked for at once than the node gives."""

    rpc_code = -32005


def revert_error(data: bytes) -> RevertError:
    """
    Turn revert data into the error that says what the contract said.

    Args:
        data: What the contract returned with REVERT.

    Returns:
        The error, with `execution reverted: <reason>` where the data holds a reason.

    Source: Solidity documentation, "Error(string)" and "Panic(uint256)".
    """
    reason = revert_reason(data)
    return RevertError(f"execution reverted: {reason}" if reason else "execution reverted", reason=reason, data=data)


def revert_reason(data: bytes) -> str:
    """
    Read the reason out of revert data.

    Args:
        data: What the contract returned with REVERT.

    Returns:
        The reason in words; empty for a custom error, for no data, and for data that only looks like a reason.
    """
    try:
        if data[:4] == _ERROR_STRING:
            return str(decode_abi(TEXT, data[4:])[0])
        if data[:4] == _PANIC:
            (number,) = decode_abi(NUMBER, data[4:])
            assert isinstance(number, int)
            return f"panic: {_PANICS.get(number, 'unknown')} (0x{number:02x})"
    except DecodingError:
        return ""
    return ""
