"""Real evidence of others' hardware, with what verifies it and the time at which it was fresh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from voisin.attestation import Claims, verify
from voisin.attestation.amd import SnpCollateral
from voisin.attestation.intel import IntelCollateral
from voisin.attestation.verify import Collateral
from voisin.protocol.evidence import Evidence, IntelQuote, NitroDocument, SnpReport
from voisin.units import UnixSeconds

FOLDER = Path(__file__).parents[1] / "samples" / "attestation"


@dataclass(frozen=True)
class Sample:
    """A piece of evidence that was genuine at its time."""

    evidence: Evidence
    collateral: Collateral
    now: UnixSeconds

    def verify(self) -> Claims:
        """Verify it at its time."""
        return verify(self.evidence, self.collateral, self.now)


def _read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def _intel(quote: str, collateral: str) -> Sample:
    published = msgspec.json.decode(_read(collateral), type=IntelCollateral)
    return Sample(IntelQuote(_read(quote)), published, UnixSeconds(1_750_334_171))


SAMPLES = {
    "sgx": _intel("intel-sgx/quote.bin", "intel-sgx/collateral.json"),
    "tdx": _intel("intel-tdx/quote-uptodate.bin", "intel-tdx/collateral-B0C06F000000.json"),
    "snp": Sample(
        SnpReport(_read("amd-sev-snp/report-milan.bin")), SnpCollateral(_read("amd-sev-snp/vcek-milan.der")), UnixSeconds(1_750_334_171)
    ),
    "nitro": Sample(NitroDocument(_read("aws-nitro/attestation-production-2022.cose")), None, UnixSeconds(1_665_651_482)),
    "nitro-debug": Sample(NitroDocument(_read("aws-nitro/attestation-debug-2023.cose")), None, UnixSeconds(1_695_049_410)),
}
