"""
Attestation: what hardware says about the enclave that runs on it, verified, and judged by a policy.

    from voisin.attestation import EnclavePolicy, judge, verify

    claims = verify(evidence, collateral, now)
    reasons = judge(claims, policy, binding, now)

`verify` answers who signed what: it fails unless every byte of the evidence is the maker's, up to the maker's root, at the
given time. What was signed may still be worth nothing (a debuggable enclave, an old one, another program): that is what
`judge` is for, and it answers every reason at once. Neither reads a clock or a network.

Real evidence has been verified here; none was ever made here (docs/explanation/confidentiality.md).
"""

from voisin.attestation.again import Verdict, judge_again
from voisin.attestation.claims import Claims, TcbStatus, Technology
from voisin.attestation.policy import EnclavePolicy, Measurements, judge
from voisin.attestation.receipts import ReceiptVerdict, check_receipt
from voisin.attestation.verify import verify

__all__ = [
    "Claims",
    "EnclavePolicy",
    "Measurements",
    "ReceiptVerdict",
    "TcbStatus",
    "Technology",
    "Verdict",
    "check_receipt",
    "judge",
    "judge_again",
    "verify",
]
