"""
What a request order's `params` text says: arguments, inputs, and our own limits and bags.

The keys starting with `iexec_` and `bulk_cid` are the protocol's; text that is not a JSON object counts as `iexec_args`.
Ours start with `voisin_`: a bag gives each task of a deal its own arguments and inputs, as a JSON document in storage.

Source: pool-semantics.md 2.5.
"""

from __future__ import annotations

import shlex
from typing import Final

import msgspec

from voisin.errors import InputError
from voisin.protocol.codec import decode

DEFAULT_MEMORY_BYTES: Final = 512 << 20
"""Memory of a task whose deal does not say how much."""
MAX_MEMORY_BYTES: Final = 4 << 30
"""The most that an app can have: what a 32-bit address reaches."""
DEFAULT_OUTPUT_BYTES: Final = 64 << 20
"""Output of a task whose deal does not say how much."""
_NO_TEXT = "the deal's parameters hold half a character, which no text can have"


class RunLimits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one task may use; 0 means: what the category and the worker allow."""

    time_s: float = 0
    memory_bytes: int = 0
    instructions: int = 0
    output_bytes: int = 0


class DealParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    The parameters of a deal; unknown keys of foreign clients are ignored.

    `voisin_window` stays the first: the hub looks for it there (contracts/SPEC.md 18.1). `voisin_region` says where the tasks must be
    done, as `voisin.policy.placement.Needs.region`. `voisin_purpose` is what the requester, who signs the parameters, says that the
    dataset is used for.
    """

    voisin_window: str = ""
    iexec_args: str = ""
    iexec_input_files: tuple[str, ...] = ()
    iexec_secrets: dict[str, str] = {}
    iexec_result_encryption: bool = False
    iexec_result_storage_provider: str = ""
    bulk_cid: str = ""
    voisin_bag: str = ""
    voisin_inputs: dict[str, str] = {}
    voisin_limits: RunLimits = RunLimits()
    voisin_region: str = ""
    voisin_purpose: str = ""


class BagEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task of a bag: its arguments, and its input files by name with the CID of each."""

    args: tuple[str, ...] = ()
    inputs: dict[str, str] = {}


class Bag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each task of a deal gets; the entry's place is the task's index."""

    tasks: tuple[BagEntry, ...]


def parse_params(text: str) -> DealParams:
    """
    Read a deal's parameters.

    Raises:
        InputError: A known key has a value of the wrong type, or it cannot be written as UTF-8.
    """
    stripped = _utf8(text).strip()
    if not stripped.startswith(b"{"):
        return DealParams(iexec_args=text)
    try:
        msgspec.json.decode(stripped, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return DealParams(iexec_args=text)
    except RecursionError:
        raise InputError("the deal's parameters are malformed: they are nested too deeply") from None
    try:
        return msgspec.json.decode(stripped, type=DealParams)
    except msgspec.ValidationError as error:
        raise InputError(f"the deal's parameters are malformed: {error}") from None


def encode_params(params: DealParams) -> str:
    """
    Write a deal's parameters, leaving out what is at its default.

    Raises:
        InputError: They cannot be written as UTF-8.
    """
    try:
        return msgspec.json.encode(params).decode()
    except UnicodeEncodeError:
        raise InputError(_NO_TEXT) from None


def split_args(text: str) -> tuple[str, ...]:
    """
    Split `iexec_args` as a shell would.

    Raises:
        InputError: A quotation mark is never closed.
    """
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InputError(f"the arguments {text!r} cannot be split: {error}") from None


def join_args(args: tuple[str, ...]) -> str:
    """Join arguments so that `split_args` gives them back."""
    return shlex.join(args)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError(_NO_TEXT) from None


def encode_bag(bag: Bag) -> bytes:
    """Write a bag as the JSON document that goes into storage."""
    return msgspec.json.encode(bag)


def decode_bag(data: bytes) -> Bag:
    """
    Read a bag.

    Raises:
        InputError: It is malformed.
    """
    return decode(data, Bag, "the bag of tasks")
