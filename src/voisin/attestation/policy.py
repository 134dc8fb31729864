"""
What evidence has to say before an enclave is given a secret: a policy, and the one judgement of claims by it.

The judgement is total: every reason to refuse is named, and none of them means yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from voisin.attestation.claims import Claims, TcbStatus, Technology
from voisin.units import UnixSeconds

BINDING = 32
"""Bytes of what evidence is bound to; the rest of the report data is zero."""
SKEW_S = 60
"""How far the clock of a maker may be ahead of ours [s]."""

VERSIONS = frozenset({"boot_loader", "tee", "snp", "microcode", "fmc", "guest", "tcb_evaluation"})
"""What evidence may name a version of; see `Claims.versions`."""

Measurements = dict[str, str]
"""Registers and the hex digests that they must hold, all of them."""


class EnclavePolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What an owner or a vault asks of an enclave.

    Attributes:
        technologies: Whose hardware is good enough.
        measurements: What may run in it; one of these must hold as a whole. Empty: nothing may.
        statuses: What the maker may say of the platform.
        tolerated: Advisories that may apply; others may not.
        least_versions: Least versions of firmware, by name, where the maker gives no judgement.
        max_age_s: How old evidence may be that says when it was made [s].
    """

    technologies: frozenset[Technology] = frozenset({Technology.TDX, Technology.SGX, Technology.SNP, Technology.NITRO})
    measurements: tuple[Measurements, ...] = ()
    statuses: frozenset[TcbStatus] = frozenset({TcbStatus.UP_TO_DATE, TcbStatus.UNRATED})
    tolerated: frozenset[str] = frozenset()
    least_versions: dict[str, int] = {}
    max_age_s: int = 300

    def __post_init__(self) -> None:
        """Refuse versions that nothing has: a name that is misspelt would ask for nothing."""
        if unknown := sorted(set(self.least_versions) - VERSIONS):
            raise ValueError(f"nothing has a version called {unknown[0][:40]!r}; known are {', '.join(sorted(VERSIONS))}")


def judge(claims: Claims, policy: EnclavePolicy, binding: bytes, now: UnixSeconds) -> tuple[str, ...]:
    """
    Judge what verified evidence says.

    Args:
        claims: What it says.
        policy: What is asked.
        binding: What it has to be made over, 32 bytes: the session, the nonce and the task.
        now: The time.

    Returns:
        Every reason to refuse, in words; nothing if there is none.
    """
    return tuple(_reasons(claims, policy, binding, now))


def _reasons(claims: Claims, policy: EnclavePolicy, binding: bytes, now: UnixSeconds) -> Iterator[str]:
    if claims.technology not in policy.technologies:
        yield f"an enclave of {claims.technology} is not asked for"
    for weakness in claims.weaknesses:
        yield str(weakness)
    if claims.status not in policy.statuses:
        yield f"its maker says {claims.status} of the platform"
    unknown = sorted(set(claims.advisories) - policy.tolerated)
    if unknown:
        yield f"advisories apply: {', '.join(unknown)}"
    for name, least in sorted(policy.least_versions.items()):
        if name in claims.versions and claims.versions[name] < least:
            yield f"its {name.replace('_', ' ')} has version {claims.versions[name]}, and {least} is the least"
    if not any(_holds(wanted, claims.measurements) for wanted in policy.measurements):
        yield "what runs in it is not on the list"
    if len(binding) != BINDING or claims.report_data.rstrip(b"\0") != binding.rstrip(b"\0"):
        yield "it was not made for this session"
    yield from _stale(claims, policy, now)


def _stale(claims: Claims, policy: EnclavePolicy, now: UnixSeconds) -> Iterator[str]:
    if claims.valid_until is not None and now > claims.valid_until:
        yield "what it was verified with has expired"
    if claims.made_at is not None and not now - policy.max_age_s <= claims.made_at <= now + SKEW_S:
        yield f"it was made {now - claims.made_at} s ago, and {policy.max_age_s} s is the most"


def _holds(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return bool(wanted) and all(found.get(register) == digest.lower().removeprefix("0x") for register, digest in wanted.items())
