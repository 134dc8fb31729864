"""The decision table: each way in which verified evidence is not good enough, alone and for its own reason."""

from dataclasses import replace

import pytest

from tests.support.evidence import SAMPLES
from voisin.attestation import Claims, EnclavePolicy, TcbStatus, Technology, judge
from voisin.attestation.claims import Weakness
from voisin.errors import InputError
from voisin.protocol.codec import decode
from voisin.units import UnixSeconds

NOW = UnixSeconds(1_700_000_000)
BINDING = bytes(range(1, 33))
CODE = {"mr_td": "ab" * 48, "rt_mr1": "cd" * 48}
GOOD = Claims(
    technology=Technology.TDX,
    measurements={**CODE, "rt_mr2": "00" * 48},
    report_data=BINDING + bytes(32),
    platform="01",
    status=TcbStatus.UP_TO_DATE,
    valid_until=UnixSeconds(NOW + 1_000),
)
POLICY = EnclavePolicy(measurements=({"mr_td": "ff" * 48}, CODE))


def test_good_evidence_is_good_enough() -> None:
    assert judge(GOOD, POLICY, BINDING, NOW) == ()


ROWS = [
    ("another maker", {"technology": Technology.SNP}, {"technologies": frozenset({Technology.TDX})}, "amd-sev-snp is not asked for"),
    ("a simulated one", {"technology": Technology.SIMULATED}, {}, "simulated is not asked for"),
    ("debug", {"weaknesses": (Weakness.DEBUGGABLE,)}, {}, "debug mode"),
    ("migration", {"weaknesses": (Weakness.MIGRATABLE,)}, {}, "migration agent"),
    ("a shared key", {"weaknesses": (Weakness.SHARED_KEY,)}, {}, "cloud provider"),
    ("an inner level", {"weaknesses": (Weakness.INNER_LEVEL,)}, {}, "most privileged"),
    *(
        (f"status {status}", {"status": status}, {}, f"its maker says {status}")
        for status in TcbStatus
        if status not in (TcbStatus.UP_TO_DATE, TcbStatus.UNRATED)
    ),
    ("an advisory", {"advisories": ("INTEL-SA-1", "INTEL-SA-2")}, {"tolerated": frozenset({"INTEL-SA-1"})}, "INTEL-SA-2"),
    ("old firmware", {"versions": {"snp": 7}}, {"least_versions": {"snp": 8}}, "version 7, and 8 is the least"),
    ("another program", {"measurements": {**CODE, "mr_td": "00" * 48}}, {}, "not on the list"),
    ("a program half right", {"measurements": {"mr_td": CODE["mr_td"]}}, {}, "not on the list"),
    ("no list", {}, {"measurements": ()}, "not on the list"),
    ("an empty entry", {}, {"measurements": ({},)}, "not on the list"),
    ("another session", {"report_data": bytes(64)}, {}, "not made for this session"),
    ("more than the session", {"report_data": BINDING + b"\1" + bytes(31)}, {}, "not made for this session"),
    ("expired", {"valid_until": UnixSeconds(NOW - 1)}, {}, "has expired"),
    ("old", {"made_at": UnixSeconds(NOW - 301)}, {}, "made 301 s ago"),
    ("from the future", {"made_at": UnixSeconds(NOW + 61)}, {}, "made -61 s ago"),
]


@pytest.mark.parametrize(("claims", "policy", "why"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_flaw_is_refused_for_its_own_reason(claims: dict[str, object], policy: dict[str, object], why: str) -> None:
    flawed = replace(GOOD, **claims)  # type: ignore[arg-type]
    asked = EnclavePolicy(**{"measurements": POLICY.measurements, **policy})  # type: ignore[arg-type]
    (reason,) = judge(flawed, asked, BINDING, NOW)
    assert why in reason


@pytest.mark.parametrize(
    ("claims", "policy"),
    [
        ({"status": TcbStatus.HARDENING_NEEDED}, {"statuses": frozenset({TcbStatus.HARDENING_NEEDED})}),
        ({"advisories": ("INTEL-SA-1",)}, {"tolerated": frozenset({"INTEL-SA-1"})}),
        ({"versions": {"snp": 8}}, {"least_versions": {"snp": 8}}),
        ({"made_at": UnixSeconds(NOW - 300)}, {}),
        ({"valid_until": NOW}, {}),
        ({}, {"measurements": ({"mr_td": "0x" + "AB" * 48},)}),
    ],
)
def test_what_is_allowed_is_allowed(claims: dict[str, object], policy: dict[str, object]) -> None:
    asked = EnclavePolicy(**{"measurements": POLICY.measurements, **policy})  # type: ignore[arg-type]
    assert judge(replace(GOOD, **claims), asked, BINDING, NOW) == ()  # type: ignore[arg-type]


def test_a_version_that_nothing_has_is_no_policy() -> None:
    """A misspelt name would ask for nothing; one that only others' evidence has does not count against this."""
    with pytest.raises(ValueError, match="microcod"):
        EnclavePolicy(least_versions={"microcod": 219})
    assert judge(GOOD, EnclavePolicy(measurements=POLICY.measurements, least_versions={"microcode": 219}), BINDING, NOW) == ()
    with pytest.raises(InputError, match="microcod"):
        decode(b'{"least_versions": {"microcod": 219}}', EnclavePolicy, "the policy")


def test_every_reason_is_named() -> None:
    flawed = replace(GOOD, weaknesses=(Weakness.DEBUGGABLE,), report_data=b"", status=TcbStatus.REVOKED)
    assert len(judge(flawed, EnclavePolicy(), BINDING, NOW)) == 4


@pytest.mark.parametrize("binding", [b"", bytes(31), bytes(64)])
def test_a_binding_of_another_length_binds_nothing(binding: bytes) -> None:
    assert judge(replace(GOOD, report_data=binding), POLICY, binding, NOW) == ("it was not made for this session",)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_evidence_was_not_made_for_us(name: str) -> None:
    sample = SAMPLES[name]
    found = sample.verify()
    reasons = judge(found, EnclavePolicy(measurements=(dict(found.measurements),)), BINDING, sample.now)
    assert "it was not made for this session" in reasons
    assert ("its host may read its memory (debug mode)" in reasons) == (name == "nitro-debug")
