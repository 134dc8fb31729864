"""What this machine has of a confidential one, as far as a program can find out; it proves nothing to anybody else."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voisin.enclave.memory import SHARED_MEMORY, is_memory, swap_areas
from voisin.enclave.tsm import PROVIDERS, REPORT_FOLDER, KernelEntries, kernel_evidence
from voisin.errors import VoisinError
from voisin.protocol.evidence import IntelQuote

DEVICES: Final = ("/dev/tdx_guest", "/dev/sev-guest", "/dev/sgx_enclave", "/dev/nsm", "/dev/tpm0")
"""Devices of confidential machines, and of what is like them."""


@dataclass(frozen=True)
class Finding:
    """
    One thing that was looked for.

    Attributes:
        what: What it is.
        is_good: Whether a real enclave can do with it.
        words: What was found.
    """

    what: str
    is_good: bool
    words: str


@dataclass(frozen=True)
class Survey:
    """
    Everything that was looked for.

    Attributes:
        findings: One by one.
        technology: What the hardware calls itself; empty where it gives no evidence.
    """

    findings: tuple[Finding, ...]
    technology: str

    @property
    def can_be_real(self) -> bool:
        """Whether a real enclave can run here."""
        return all(finding.is_good for finding in self.findings)


def survey(report_folder: Path = REPORT_FOLDER) -> Survey:
    """Look around, and ask the hardware for evidence over a random number."""
    technology, evidence = _evidence(report_folder)
    return Survey((*_system(report_folder), evidence), technology)


def _system(report_folder: Path) -> Iterator[Finding]:
    system = platform.system()
    yield Finding("system", system == "Linux", f"{system} {platform.release()}, {platform.machine()}")
    has_folder = report_folder.is_dir()
    words = f"{report_folder} is there" if has_folder else f"no {report_folder}: it comes with Linux 6.7 in a confidential machine"
    yield Finding("reports", has_folder, words)
    devices = [device for device in DEVICES if Path(device).exists()]
    yield Finding("devices", True, ", ".join(devices) or f"none of {', '.join(DEVICES)}")
    has_memory = is_memory(SHARED_MEMORY)
    yield Finding("files in memory", has_memory, f"{SHARED_MEMORY} is memory" if has_memory else f"{SHARED_MEMORY} is not in memory")
    swaps = swap_areas()
    yield Finding("swapping", not swaps, f"memory may be written to {', '.join(swaps)}" if swaps else "off")


def _evidence(report_folder: Path) -> tuple[str, Finding]:
    try:
        found = kernel_evidence(secrets.token_bytes(64), KernelEntries(report_folder))
    except VoisinError as error:
        return "", Finding("evidence", False, f"{error.message}; known kinds are {', '.join(PROVIDERS)}")
    technology = "intel-tdx" if isinstance(found, IntelQuote) else "amd-sev-snp"
    size = len(found.quote if isinstance(found, IntelQuote) else found.report)
    return technology, Finding("evidence", True, f"{technology}: {size} bytes over a random number")
