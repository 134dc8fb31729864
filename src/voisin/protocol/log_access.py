"""
What a requester signs to read, once, what its task printed.

The signed text (an Ethereum signed message) names the pool, the chain and the hub, the task, who signs, a nonce, and until when it
counts; a pool remembers the nonce until then. Over HTTP it travels as the header `Voisin-Consent`, like consents for a vault.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from voisin.protocol.consent import Consent
from voisin.protocol.eip712 import Domain
from voisin.protocol.ids import Address, Hash32, TaskId
from voisin.protocol.signatures import Signer, message_digest, sign_message
from voisin.units import UnixSeconds

MAX_VALID_S: Final = 600
"""Longest time that such a signature may count [s]: so long a pool has to remember its nonce."""


def sign_log_access(requester: Signer, workerpool: Address, domain: Domain, task: TaskId, *, nonce: Hash32, until: UnixSeconds) -> Consent:
    """
    Sign the wish to read a task's logs.

    Args:
        requester: Who bought the task.
        workerpool: The pool that is asked.
        domain: The hub, with its chain.
        task: The task.
        nonce: 32 random bytes that were never used before.
        until: Until when it counts [Unix s].
    """
    unsigned = Consent(signer=requester.address, nonce=nonce, until=until, signature="0x")
    return replace(unsigned, signature=sign_message(requester, _text(workerpool, domain, task, unsigned)))


def log_access_digest(workerpool: Address, domain: Domain, task: TaskId, consent: Consent) -> bytes:
    """Give the 32 bytes under such a signature."""
    return message_digest(_text(workerpool, domain, task, consent))


def _text(workerpool: Address, domain: Domain, task: TaskId, consent: Consent) -> bytes:
    lines = (
        "Voisin pool: read the logs of a task",
        f"pool {workerpool}",
        f"chain {domain.chain_id}",
        f"hub {domain.hub}",
        f"task {task}",
        f"signer {consent.signer}",
        f"nonce {consent.nonce}",
        f"until {consent.until}",
    )
    return "\n".join(lines).encode()
