"""
What a worker commits to: digest, hash and seal of a result, the signatures of scheduler and enclave, and the link on the chain.

The digest is opaque to the hub. Ours covers every file of the result (`tree_digest`), unless the app names a
deterministic part of it in `computed.json`, as the protocol's own clients do, or the deal has a callback.

Source: poco-protocol.md 4.1, 4.2; pool-semantics.md 2.6, 2.7.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from voisin.errors import InputError
from voisin.protocol.codec import decode
from voisin.protocol.hashing import keccak
from voisin.protocol.ids import ZERO_ADDRESS, Address, Hash32, TaskId, from_hex, hash32_of, to_hex
from voisin.protocol.signatures import Signer, message_digest, sign_message

COMPUTED_FILE = "computed.json"
ERROR_FILE = "error.json"
STDOUT_FILE = "stdout.txt"
STDERR_FILE = "stderr.txt"
SALT_FILE = ".salt"
"""In a sealed result: what nobody else can guess, so that its digest on the chain says nothing of the other files."""
OUTPUT_FOLDER = "/iexec_out"


class GuestFailure(msgspec.Struct, frozen=True):
    """Why an app failed, as `error.json` of its result says it; equal on every honest machine."""

    cause: str
    detail: str


class ResultLink(msgspec.Struct, frozen=True):
    """Where a result lies, as the hub's `results` field says it."""

    storage: str
    location: str


class _Computed(msgspec.Struct, frozen=True):
    """The two keys of `computed.json` that count; others are ignored."""

    path: str = msgspec.field(default="", name="deterministic-output-path")
    callback: str = msgspec.field(default="", name="callback-data")


def result_hash(task: TaskId, digest: Hash32) -> Hash32:
    """Commit to a digest without showing it: the same for all workers that agree."""
    return hash32_of(from_hex(task), from_hex(digest))


def result_seal(worker: Address, task: TaskId, digest: Hash32) -> Hash32:
    """Prove knowledge of the digest: differs for each worker, so a copied commitment cannot be revealed."""
    return hash32_of(from_hex(worker), from_hex(task), from_hex(digest))


def authorization_message(worker: Address, task: TaskId, enclave: Address = ZERO_ADDRESS) -> bytes:
    """Spell the 32 bytes that a scheduler signs (as an Ethereum signed message) to let a worker contribute."""
    return keccak(from_hex(worker) + from_hex(task) + from_hex(enclave))


def sign_authorization(scheduler: Signer, worker: Address, task: TaskId, enclave: Address = ZERO_ADDRESS) -> str:
    """Sign a worker's permission to contribute to a task."""
    return sign_message(scheduler, authorization_message(worker, task, enclave))


def authorization_digest(worker: Address, task: TaskId, enclave: Address = ZERO_ADDRESS) -> bytes:
    """Give the digest under an authorisation's signature, for checking it."""
    return message_digest(authorization_message(worker, task, enclave))


def sign_enclave(enclave: Signer, worker: Address, task: TaskId, digest: Hash32) -> str:
    """Sign a worker's result with the key of the task's enclave, as the hub checks it."""
    return sign_message(enclave, _enclave_message(worker, task, digest))


def enclave_digest(worker: Address, task: TaskId, digest: Hash32) -> bytes:
    """Give the digest under an enclave's signature, for checking it."""
    return message_digest(_enclave_message(worker, task, digest))


def _enclave_message(worker: Address, task: TaskId, digest: Hash32) -> bytes:
    return keccak(from_hex(result_hash(task, digest)) + from_hex(result_seal(worker, task, digest)))


def tree_digest(files: Mapping[str, bytes]) -> Hash32:
    """
    Digest a whole result.

    Args:
        files: For each file, its path inside the result with `/` between folders, and the SHA-256 of its bytes.

    Returns:
        keccak-256 over the lines `<sha256 in hex>  <path>\\n`, sorted by path in code-point order.
    """
    return hash32_of(*(f"{digest.hex()}  {path}\n".encode() for path, digest in sorted(files.items())))


def result_digest(files: Mapping[str, bytes], *, computed: bytes | None, is_failure: bool, has_callback: bool) -> Hash32:
    """
    Digest a result by the rule that applies to it.

    Args:
        files: For each file of the result, its path and the SHA-256 of its bytes.
        computed: The bytes of `computed.json`, if the app wrote it.
        is_failure: Whether the result describes a failure of the app: then only `error.json` counts.
        has_callback: Whether the deal has a callback: then the app's callback data count.

    Raises:
        InputError: `computed.json` is malformed, names a path that is not in the result, or lacks the callback data.
    """
    if is_failure:
        return tree_digest({ERROR_FILE: files[ERROR_FILE]})
    if computed is None:
        if has_callback:
            raise InputError("the deal has a callback, and the app wrote no computed.json with callback-data")
        return tree_digest(files)
    named = read_computed(computed)
    if has_callback:
        return hash32_of(callback_data(computed))
    return _named_digest(files, named.path)


def read_computed(computed: bytes) -> _Computed:
    """
    Read `computed.json`.

    Raises:
        InputError: It is not a JSON object with text under the known keys.
    """
    return decode(computed, _Computed, "computed.json")


def callback_data(computed: bytes) -> bytes:
    """
    Read the bytes that an app sends to the deal's callback.

    Raises:
        InputError: There are none.
    """
    data = from_hex(read_computed(computed).callback or "0x")
    if not data:
        raise InputError("computed.json has no callback-data, and the deal has a callback")
    return data


def _named_digest(files: Mapping[str, bytes], path: str) -> Hash32:
    inside = path.removeprefix(OUTPUT_FOLDER).strip("/")
    if inside in files:
        return Hash32(to_hex(files[inside]))
    prefix = f"{inside}/" if inside else ""
    below = {name[len(prefix) :]: digest for name, digest in files.items() if name.startswith(prefix)}
    if not below or ".." in inside.split("/"):
        raise InputError(f"computed.json names {path!r}, which is not in the result")
    children = sorted({name.split("/")[0] for name in below})
    return hash32_of(*(below.get(child, b"") for child in children))


def sha256(data: bytes) -> bytes:
    """Hash bytes with SHA-256; 32 bytes."""
    return hashlib.sha256(data).digest()


def encode_link(cid: str) -> bytes:
    """Spell where a result lies, for the hub's `results` field."""
    return msgspec.json.encode(ResultLink(storage="ipfs", location=f"/ipfs/{cid}"))


def decode_link(results: bytes) -> str:
    """
    Read the CID out of the hub's `results` field.

    Raises:
        InputError: It is not a link to content-addressed storage.
    """
    link = decode(results, ResultLink, "the result's link on the chain")
    if link.storage != "ipfs" or not link.location.startswith("/ipfs/"):
        raise InputError(f"the result lies in {link.storage!r}, which this client cannot read")
    return link.location.removeprefix("/ipfs/")
