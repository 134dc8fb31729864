"""
How an enclave introduces itself to a pool, before there is any task: evidence over the pool's own random number.

What it is bound to has another beginning than what evidence for a session is bound to, and the enclave itself puts it together, so no
introduction is ever taken for a session's evidence. It opens nothing: it lets a pool sell what its workers can do.
"""

from __future__ import annotations

from typing import Final

import msgspec

from voisin.protocol.evidence import Evidence, technology_of
from voisin.protocol.ids import Address, Hash32, from_hex, hash32_of, uint_bytes
from voisin.protocol.tags import ENCLAVE_BITS, NO_TAG, Tag, as_tag, tag_bits
from voisin.protocol.wire_words import EnclaveKind

_INFO: Final = b"voisin enclave introduction 1"
_SIMULATED, _TDX, _TEE = as_tag("tee,tdx,simulated"), as_tag("tee,tdx"), as_tag("tee")


class Introduction(msgspec.Struct, frozen=True):
    """What an enclave shows for itself, and how many tasks its machine does at a time."""

    evidence: Evidence
    slots: int

    @property
    def kind(self) -> EnclaveKind:
        """What it is; its own word, until the evidence is verified."""
        return kind_of(self.evidence)


def kind_of(evidence: Evidence) -> EnclaveKind:
    """Say what kind of enclave shows such evidence."""
    return EnclaveKind(technology_of(evidence))


def introduction_binding(nonce: Hash32, workerpool: Address, chain_id: int, worker: Address) -> Hash32:
    """
    Give what evidence must be made over to introduce a worker's enclave to a pool, this once.

    Raises:
        InputError: One of them is malformed.
    """
    return hash32_of(_INFO, from_hex(workerpool), uint_bytes(chain_id), from_hex(worker), from_hex(nonce))


def enclave_tag(kind: EnclaveKind) -> Tag:
    """
    Say which bits of a task's tag a machine with such enclaves has.

    The protocol's bits name frameworks; of ours only TDX has one, and other makers' enclaves are offered as `tee` alone.
    """
    if kind is EnclaveKind.NONE:
        return NO_TAG
    return {EnclaveKind.SIMULATED: _SIMULATED, EnclaveKind.TDX: _TDX}.get(kind, _TEE)


def suffices(kind: EnclaveKind, wanted: EnclaveKind, tag: Tag = NO_TAG) -> bool:
    """
    Tell whether a machine's enclaves are what a task asks for: a real one never stands in for a played one, nor the other way.

    Args:
        kind: What enclaves the machine has.
        wanted: What the task asks for.
        tag: The deal's tag, which may name whose hardware is meant.
    """
    if wanted is EnclaveKind.NONE:
        return True
    is_level = kind.is_hardware if wanted is EnclaveKind.HARDWARE else kind is wanted
    return is_level and not tag_bits(tag) & ENCLAVE_BITS & ~tag_bits(enclave_tag(kind))
