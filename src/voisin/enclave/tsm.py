"""
Quotes from the kernel: `configfs-tsm`, the one interface of Linux (6.7 and later) to the reports of confidential machines of any maker.

A folder is made below `report`; 64 bytes are written to its `inblob`, and its `outblob` then reads as evidence over them, by the hardware
that `provider` names. `generation` counts what was written: when it says more than we wrote, somebody else wrote in between.

Source: Linux kernel, Documentation/ABI/testing/configfs-tsm-report.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from voisin.enclave.interfaces import ROOT, advice
from voisin.errors import StateError, TrustError, UnavailableError
from voisin.protocol.evidence import IntelQuote, SnpReport

REPORT_FOLDER: Final = Path("/sys/kernel/config/tsm/report")
REPORT_DATA_BYTES: Final = 64
MAX_REPORT_BYTES: Final = 32 << 10
ATTEMPTS: Final = 5
_TDX, _SNP = "tdx_guest", "sev_guest"
PROVIDERS: Final = (_TDX, _SNP)
_AGAIN = frozenset({errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR})


class Entries(Protocol):
    """The kernel's folder of reports, as far as it is used."""

    def make(self, name: str) -> None:
        """Make an entry; the kernel puts its files there."""
        ...

    def write(self, name: str, file: str, data: bytes) -> None:
        """Write a file of an entry, at once."""
        ...

    def read(self, name: str, file: str) -> bytes:
        """Read a file of an entry."""
        ...

    def remove(self, name: str) -> None:
        """Remove an entry."""
        ...


@dataclass(frozen=True)
class KernelEntries:
    """
    The folder itself; see `Entries`.

    Attributes:
        folder: Where the kernel has it.
    """

    folder: Path = REPORT_FOLDER

    def make(self, name: str) -> None:
        """Make an entry."""
        (self.folder / name).mkdir()

    def write(self, name: str, file: str, data: bytes) -> None:
        """Write a file of an entry: the kernel takes a blob in one piece only."""
        with (self.folder / name / file).open("wb", buffering=0) as opened:
            opened.write(data)

    def read(self, name: str, file: str) -> bytes:
        """Read a file of an entry."""
        with (self.folder / name / file).open("rb") as opened:
            return opened.read(MAX_REPORT_BYTES + 1)

    def remove(self, name: str) -> None:
        """Remove an entry, with its files, which are the kernel's."""
        (self.folder / name).rmdir()


def require_reports(folder: Path, root: Path = ROOT) -> None:
    """
    Require that the kernel gives evidence.

    Args:
        folder: The kernel's folder of reports.
        root: Where devices are looked for, to say what to do.

    Raises:
        StateError: It does not: this is no confidential machine, or its kernel is older than Linux 6.7.
    """
    if not folder.is_dir():
        raise StateError(f"this machine gives no evidence that this program can ask for: there is no {folder}", hint=advice(root))


def kernel_evidence(
    report_data: bytes, entries: Entries, *, name: Callable[[], str] = lambda: f"voisin-{secrets.token_hex(8)}"
) -> IntelQuote | SnpReport:
    """
    Have the hardware sign something.

    Args:
        report_data: What is to be signed, at most 64 bytes; the rest is zero.
        entries: The kernel's folder.
        name: Names the entry that is made for it.

    Raises:
        StateError: This machine has no hardware that does, or this program may not ask it.
        TrustError: What it gave does not hold what it was asked to sign.
        UnavailableError: It is busy, also after several attempts.
    """
    wanted, entry = report_data.ljust(REPORT_DATA_BYTES, b"\0"), name()
    try:
        entries.make(entry)
    except OSError as error:
        hint = "run it inside a TDX or SEV-SNP machine, as root; `voisin enclave check` says what this machine has"
        raise StateError(f"this machine gives no evidence: {error.strerror}", hint=hint) from None
    try:
        return _evidence(wanted, entries, entry)
    except OSError as error:
        raise StateError(f"the kernel gives no evidence: {error.strerror}", hint="`voisin enclave check` says what it has") from None
    finally:
        entries.remove(entry)


def _evidence(wanted: bytes, entries: Entries, entry: str) -> IntelQuote | SnpReport:
    provider = entries.read(entry, "provider").decode(errors="replace").strip()
    if provider not in PROVIDERS:
        raise StateError(f"evidence of the provider {provider[:40]!r} is not known here", hint=f"known are {', '.join(PROVIDERS)}")
    blob = _signed(wanted, entries, entry)
    if len(blob) > MAX_REPORT_BYTES or wanted not in blob:
        raise TrustError("the kernel's evidence does not hold what it was asked to sign", hint="look for who else uses configfs-tsm")
    return IntelQuote(blob) if provider == _TDX else SnpReport(blob)


def _signed(wanted: bytes, entries: Entries, entry: str) -> bytes:
    """Ask until nobody wrote in between."""
    for _ in range(ATTEMPTS):
        before = _generation(entries, entry)
        try:
            entries.write(entry, "inblob", wanted)
            blob = entries.read(entry, "outblob")
        except OSError as error:
            if error.errno not in _AGAIN:
                raise
            continue
        if _generation(entries, entry) == before + 1:
            return blob
    raise UnavailableError("the hardware is busy", hint="try again")


def _generation(entries: Entries, entry: str) -> int:
    text = entries.read(entry, "generation").decode(errors="replace").strip()
    if not text.isdigit():
        raise StateError(f"the kernel counts {text[:40]!r}, which is no number", hint="report this kernel's version")
    return int(text)
