"""
The interfaces by which machines give evidence, and which of them this program speaks.

It speaks configfs-tsm, the kernel's, which TDX and SEV-SNP machines have. Evidence of SGX enclaves and of Nitro enclaves is verified by
vaults and pools, but not made here: an SGX enclave is no machine that runs a program as it is, and a Nitro enclave asks its own device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path("/")


@dataclass(frozen=True)
class Interface:
    """
    An interface.

    Attributes:
        technology: Whose hardware has it.
        device: Its device.
        what_to_do: What whoever has it can do.
    """

    technology: str
    device: str
    what_to_do: str


SPOKEN: Final = (
    Interface("Intel TDX", "dev/tdx_guest", "mount configfs on /sys/kernel/config, and use Linux 6.7 or later"),
    Interface("AMD SEV-SNP", "dev/sev-guest", "mount configfs on /sys/kernel/config, and use Linux 6.7 or later"),
)
"""Those whose evidence configfs-tsm gives, once the kernel has it."""

NOT_SPOKEN: Final = (
    Interface("Intel SGX", "dev/sgx_enclave", "this program makes no SGX quotes: take a TDX machine instead"),
    Interface("AWS Nitro", "dev/nsm", "this program makes no Nitro documents: take an SEV-SNP machine of AWS instead"),
)
"""Those whose evidence is verified, and not made."""


def found_interfaces(root: Path = ROOT) -> Iterator[Interface]:
    """List the interfaces whose devices are there."""
    return (interface for interface in (*SPOKEN, *NOT_SPOKEN) if (root / interface.device).exists())


def advice(root: Path = ROOT) -> str:
    """Say what to do on a machine without configfs-tsm."""
    looked = f"looked for {', '.join(f'/{each.device} ({each.technology})' for each in (*SPOKEN, *NOT_SPOKEN))}"
    found = [f"{each.technology} is there: {each.what_to_do}" for each in found_interfaces(root)]
    if not found:
        return f"{looked}, and none is there: run it inside a TDX or SEV-SNP machine; --simulated plays an enclave"
    return f"{looked}; {'; '.join(found)}"
