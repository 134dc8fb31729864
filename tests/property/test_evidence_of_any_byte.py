"""No byte of real evidence, or of what verifies it, can be another: not in quotes, certificates, lists, or signed statements."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.evidence import SAMPLES, Sample
from tests.support.nights import examples
from voisin.attestation.amd import SnpCollateral
from voisin.attestation.intel import IntelCollateral
from voisin.errors import TrustError

HEX = ("root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature")


def spoilt(data: bytes, place: int, bit: int) -> bytes:
    """Turn one bit over."""
    place %= len(data)
    return data[:place] + bytes((data[place] ^ 1 << bit,)) + data[place + 1 :]


def refuse(sample: Sample) -> None:
    with pytest.raises(TrustError):
        sample.verify()


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=examples(30))
@given(place=st.integers(0, 2**20), bit=st.integers(0, 7))
def test_evidence_with_a_bit_turned_over_is_refused(name: str, place: int, bit: int) -> None:
    sample = SAMPLES[name]
    (member,) = sample.evidence.__struct_fields__
    changed = {member: spoilt(getattr(sample.evidence, member), place, bit)}
    refuse(replace(sample, evidence=msgspec.structs.replace(sample.evidence, **changed)))


@pytest.mark.parametrize("name", SAMPLES)
@settings(max_examples=examples(10))
@given(length=st.integers(0, 2**20))
def test_evidence_that_ends_early_is_refused(name: str, length: int) -> None:
    sample = SAMPLES[name]
    (member,) = sample.evidence.__struct_fields__
    whole: bytes = getattr(sample.evidence, member)
    shorter = whole[: length % len(whole.rstrip(b"\0"))]
    refuse(replace(sample, evidence=msgspec.structs.replace(sample.evidence, **{member: shorter})))


@pytest.mark.parametrize("member", IntelCollateral.__struct_fields__)
@pytest.mark.parametrize("name", ["sgx", "tdx"])
@settings(max_examples=examples(5))
@given(place=st.integers(0, 2**20), bit=st.integers(0, 6))
def test_intel_collateral_with_a_bit_turned_over_is_refused(name: str, member: str, place: int, bit: int) -> None:
    sample = SAMPLES[name]
    text: str = getattr(sample.collateral, member)
    changed = spoilt(bytes.fromhex(text), place, bit).hex() if member in HEX else spoilt(text.encode(), place, bit).decode()
    assert isinstance(sample.collateral, IntelCollateral)
    refuse(replace(sample, collateral=msgspec.structs.replace(sample.collateral, **{member: changed})))


@settings(max_examples=examples(30))
@given(place=st.integers(0, 2**20), bit=st.integers(0, 7))
def test_a_chip_certificate_with_a_bit_turned_over_is_refused(place: int, bit: int) -> None:
    sample = SAMPLES["snp"]
    assert isinstance(sample.collateral, SnpCollateral)
    refuse(replace(sample, collateral=SnpCollateral(spoilt(sample.collateral.vcek, place, bit))))


def test_the_bits_of_a_chip_certificate_that_are_not_signed_are_fixed() -> None:
    """The number of unused bits of the signature: it changes nothing that is signed, and a verifier may pass over it."""
    sample = SAMPLES["snp"]
    assert isinstance(sample.collateral, SnpCollateral)
    for bit in range(8):
        refuse(replace(sample, collateral=SnpCollateral(spoilt(sample.collateral.vcek, 847, bit))))
