"""What a machine could give evidence with is said by name, and what to do where this program cannot ask for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from voisin.enclave.survey import survey
from voisin.enclave.tsm import require_reports
from voisin.errors import StateError


def machine(root: Path, *devices: str) -> Path:
    """A machine that has some devices, and no configfs-tsm."""
    (root / "dev").mkdir()
    for device in devices:
        (root / "dev" / device).touch()
    return root


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("sgx_enclave", "Intel SGX is there: this program makes no SGX quotes"),
        ("nsm", "AWS Nitro is there: this program makes no Nitro documents"),
        ("tdx_guest", "Intel TDX is there: mount configfs"),
        ("sev-guest", "AMD SEV-SNP is there: mount configfs"),
    ],
)
def test_what_is_there_is_named_with_what_to_do(tmp_path: Path, device: str, words: str) -> None:
    root = machine(tmp_path, device)
    with pytest.raises(StateError) as refused:
        require_reports(root / "none", root)
    assert words in refused.value.hint
    bad = {finding.what: finding for finding in survey(root / "none", root).findings if not finding.is_good}
    assert words.split(":")[0].removesuffix(" is there") in bad


def test_where_nothing_is_all_that_was_looked_for_is_said(tmp_path: Path) -> None:
    root = machine(tmp_path)
    with pytest.raises(StateError) as refused:
        require_reports(root / "none", root)
    for looked in ("/dev/tdx_guest", "/dev/sev-guest", "/dev/sgx_enclave", "/dev/nsm", "--simulated"):
        assert looked in refused.value.hint
    found = survey(root / "none", root)
    assert not found.can_be_real
    assert {"reports", "devices", "evidence"} <= {finding.what for finding in found.findings}
