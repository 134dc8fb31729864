"""What this machine has of a confidential one, as far as a program can find out; it proves nothing to anybody else."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from voisin.enclave.interfaces import NOT_SPOKEN, ROOT, SPOKEN, found_interfaces
from voisin.enclave.memory import SHARED_MEMORY, is_memory, swap_areas
from voisin.enclave.tsm import PROVIDERS, REPORT_FOLDER, KernelEntries, kernel_evidence
from voisin.errors import VoisinError
from voisin.protocol.evidence import IntelQuote


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


def survey(report_folder: Path = REPORT_FOLDER, root: Path = ROOT) -> Survey:
    """
    Look around, and ask the hardware for evidence over a random number.

    Args:
        report_folder: The kernel's folder of reports.
        root: Where devices are looked for.
    """
    technology, evidence = _evidence(report_folder)
    return Survey((*_system(report_folder, root), evidence), technology)


def _system(report_folder: Path, root: Path) -> Iterator[Finding]:
    system = platform.system()
    yield Finding("system", system == "Linux", f"{system} {platform.release()}, {platform.machine()}")
    has_folder = report_folder.is_dir()
    words = f"{report_folder} is there" if has_folder else f"no {report_folder}: it comes with Linux 6.7 in a confidential machine"
    yield Finding("reports", has_folder, words)
    for interface in SPOKEN:
        if not has_folder and (root / interface.device).exists():
            yield Finding(interface.technology, False, f"/{interface.device} is there; {interface.what_to_do}")
    for interface in NOT_SPOKEN:
        if (root / interface.device).exists():
            yield Finding(interface.technology, has_folder, f"/{interface.device} is there; {interface.what_to_do}")
    found = [f"/{interface.device}" for interface in found_interfaces(root)]
    looked = ", ".join(f"/{interface.device} ({interface.technology})" for interface in (*SPOKEN, *NOT_SPOKEN))
    yield Finding("devices", True, ", ".join(found) or f"none of {looked}")
    has_memory = is_memory(SHARED_MEMORY)
    yield Finding("files in memory", has_memory, f"{SHARED_MEMORY} is memory" if has_memory else f"{SHARED_MEMORY} is not in memory")
    swaps = swap_areas()
    yield Finding("swapping", not swaps, f"memory may be written to {', '.join(swaps)}" if swaps else "off")


def _evidence(report_folder: Path) -> tuple[str, Finding]:
    try:
        found = kernel_evidence(secrets.token_bytes(64), KernelEntries(report_folder))
    except VoisinError as error:
        return "", Finding("evidence", False, f"{error.message}; kinds that can be made here are {', '.join(PROVIDERS)}")
    technology = "intel-tdx" if isinstance(found, IntelQuote) else "amd-sev-snp"
    size = len(found.quote if isinstance(found, IntelQuote) else found.report)
    return technology, Finding("evidence", True, f"{technology}: {size} bytes over a random number")
