"""What an enclave signs, against the specification's worked example."""

from __future__ import annotations

from voisin.chain.devnet import development_keys
from voisin.protocol.ids import Hash32, TaskId, as_address
from voisin.protocol.results import enclave_digest, sign_authorization, sign_enclave
from voisin.protocol.signatures import message_digest, recover_signer

TASK = TaskId(Hash32("0x0124ca3fc8b5b1f4d7c121aaf81436ca785cc693611cbe781e5d62ecf7051cc4"))
DIGEST = Hash32("0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8")
WORKER = as_address("0xBcd4042DE499D14e55001CcbB24a551F3b954096")
MESSAGE = "8b08a6f798056eec2ba019da2244f6afff43b2ea95c5850e32fb2f209fe021e8"
SIGNATURE = (
    "0x6bc1154767a5b252128bded11cd0c17bfa13378610e1898a4867ff2abb8f96a57309a06704e512f096582711782626e515e71725b9d234b7793c94bcdf81a7de1b"
)
AUTHORIZATION = (
    "0xbd749adb7dd310d02280450b62f1876e951c0cacd808fdcc2fe0c356cefa37c21fd861db8de4380b8a9d0ddf1fcb1e35b0824ccbff4ff6b4e38fff668ada80021b"
)


def test_the_worked_example() -> None:
    """Source: poco-protocol.md 4.2."""
    *_, scheduler, enclave = development_keys(8)
    assert enclave_digest(WORKER, TASK, DIGEST) == message_digest(bytes.fromhex(MESSAGE))
    assert sign_enclave(enclave, WORKER, TASK, DIGEST) == SIGNATURE
    assert recover_signer(enclave_digest(WORKER, TASK, DIGEST), SIGNATURE) == enclave.address
    assert sign_authorization(scheduler, WORKER, TASK, enclave.address) == AUTHORIZATION
