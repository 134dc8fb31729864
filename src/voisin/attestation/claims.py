"""What verified evidence says, in the same words for every maker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voisin.units import UnixSeconds


class Technology(StrEnum):
    """Whose hardware an enclave runs on."""

    SGX = "intel-sgx"
    TDX = "intel-tdx"
    SNP = "amd-sev-snp"
    NITRO = "aws-nitro"
    SIMULATED = "simulated"
    """None: a plain process that plays an enclave."""


class TcbStatus(StrEnum):
    """What the maker says of the platform's firmware and microcode, in Intel's words, best first."""

    UP_TO_DATE = "UpToDate"
    HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"
    UNRATED = "Unrated"
    """The maker publishes no such judgement: versions are compared with the policy's own."""


class Weakness(StrEnum):
    """What makes an enclave worthless whoever signed for it."""

    DEBUGGABLE = "its host may read its memory (debug mode)"
    MIGRATABLE = "its host may move it to another machine (migration agent)"
    SHARED_KEY = "its evidence is signed by a key of the cloud provider, not of the chip"
    INNER_LEVEL = "it was not asked for by the most privileged level of the guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """
    What verified evidence says.

    Attributes:
        technology: Whose hardware it is.
        measurements: What runs in it: hex digests by the names that the maker gives its registers.
        report_data: What the program in it wanted signed, up to 64 bytes.
        platform: Hex of what identifies the machine, or the enclave's host.
        status: The maker's word on the platform.
        advisories: The maker's advisories that apply.
        versions: Version numbers of firmware and microcode by name.
        weaknesses: What makes it worthless.
        made_at: When the evidence was made, where it says so.
        valid_until: When what it was verified with expires.
    """

    technology: Technology
    measurements: Mapping[str, str]
    report_data: bytes
    platform: str
    status: TcbStatus
    advisories: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    weaknesses: tuple[Weakness, ...] = ()
    made_at: UnixSeconds | None = None
    valid_until: UnixSeconds | None = None
