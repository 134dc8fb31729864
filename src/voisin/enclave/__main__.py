"""`python -m voisin.enclave`: be an enclave for the worker on standard input and output; `voisin enclave run` is the same for people."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from voisin.enclave.program import EnclaveSettings, be_enclave
from voisin.enclave.tsm import REPORT_FOLDER
from voisin.errors import VoisinError


def main() -> int:
    """Do one task; answers the exit code."""
    parser = argparse.ArgumentParser(prog="voisin.enclave", description="Be an enclave for one task.")
    parser.add_argument("--simulated", action="store_true", help="only play one, which hides nothing")
    parser.add_argument("--report-folder", type=Path, default=REPORT_FOLDER, help="the kernel's folder of reports")
    parser.add_argument("--cache", type=Path, help="where simulated enclaves keep compiled modules")
    parser.add_argument("--slots", type=int, default=1, help="how many enclaves this machine runs at a time, as workers are told")
    given = parser.parse_args()
    try:
        settings = EnclaveSettings(is_simulated=given.simulated, report_folder=given.report_folder, cache=given.cache, slots=given.slots)
        be_enclave(settings, sys.stdin.buffer, sys.stdout.buffer)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
