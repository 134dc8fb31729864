"""Evidence is asked for as the kernel documents it, and taken only when it is ours: genuine quotes of real machines are what it answers."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.evidence import SAMPLES
from tests.support.tsm import MemoryEntries
from voisin.enclave.tsm import ATTEMPTS, KernelEntries, kernel_evidence
from voisin.errors import StateError, TrustError, UnavailableError, VoisinError
from voisin.protocol.evidence import IntelQuote, SnpReport

TDX, SNP = SAMPLES["tdx"], SAMPLES["snp"]
SIGNED = {"tdx": TDX.verify().report_data.ljust(64, b"\0"), "snp": SNP.verify().report_data.ljust(64, b"\0")}


def tdx_machine() -> MemoryEntries:
    assert isinstance(TDX.evidence, IntelQuote)
    return MemoryEntries("tdx_guest", TDX.evidence.quote)


def test_a_tdx_machine_gives_its_quote() -> None:
    machine = tdx_machine()
    found = kernel_evidence(SIGNED["tdx"], machine)
    assert found == TDX.evidence
    assert isinstance(found, IntelQuote)
    assert found.is_tdx
    assert machine.written == [SIGNED["tdx"]]
    assert machine.entries == {}, "nothing is left in the kernel's folder"


def test_an_snp_machine_gives_its_report() -> None:
    assert isinstance(SNP.evidence, SnpReport)
    assert kernel_evidence(SIGNED["snp"], MemoryEntries("sev_guest", SNP.evidence.report)) == SNP.evidence


def test_what_somebody_else_wrote_in_between_is_not_taken() -> None:
    machine = tdx_machine()
    machine.intruders = 2
    assert kernel_evidence(SIGNED["tdx"], machine) == TDX.evidence
    assert len(machine.written) == 3


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT])
def test_busy_hardware_is_asked_again(code: int) -> None:
    machine = tdx_machine()
    machine.failures = [code] * (ATTEMPTS - 1)
    assert kernel_evidence(SIGNED["tdx"], machine) == TDX.evidence
    machine.failures = [code] * ATTEMPTS
    with pytest.raises(UnavailableError, match="busy"):
        kernel_evidence(SIGNED["tdx"], machine)
    assert machine.entries == {}


def test_hardware_that_never_keeps_still_is_given_up() -> None:
    machine = tdx_machine()
    machine.intruders = ATTEMPTS
    with pytest.raises(UnavailableError):
        kernel_evidence(SIGNED["tdx"], machine)


def test_evidence_over_something_else_is_refused() -> None:
    with pytest.raises(TrustError, match="asked to sign"):
        kernel_evidence(b"our own binding", tdx_machine())


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (MemoryEntries("", b""), "gives no evidence"),
        (MemoryEntries("arm_cca_guest", b""), "arm_cca_guest"),
        (MemoryEntries("tdx_guest", b"", failures=[errno.EPERM]), "not permitted"),
    ],
)
def test_a_machine_without_hardware_says_so(machine: MemoryEntries, words: str) -> None:
    with pytest.raises(VoisinError, match=words) as refused:
        kernel_evidence(b"x", machine)
    assert "enclave check" in refused.value.hint or "known are" in refused.value.hint
    assert machine.entries == {}


def test_this_machine_has_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="gives no evidence"):
        kernel_evidence(b"x", KernelEntries(tmp_path / "missing" / "report"))
