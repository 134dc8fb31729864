"""
`python -m voisin.broker`: serve a broker, set up by VOISIN_BROKER_* variables, until it is interrupted.

`VOISIN_BROKER_KEYSTORE` names the keystore file of the wallet that pays the gas, `VOISIN_BROKER_PASSWORD_FILE` a file with its password.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from voisin.broker.opening import serve_broker
from voisin.broker.settings import BrokerSettings
from voisin.chain.keystore import open_wallet
from voisin.errors import InputError
from voisin.protocol.signatures import KeySigner
from voisin.service.logs import configure_logs
from voisin.service.program import run_service


def main() -> int:
    """Serve; answers the exit code."""
    configure_logs()
    return run_service(lambda: partial(serve_broker, BrokerSettings(), _wallet()))


def _wallet() -> KeySigner:
    keystore, password_file = (os.environ.get(f"VOISIN_BROKER_{name}", "") for name in ("KEYSTORE", "PASSWORD_FILE"))
    if not keystore or not password_file:
        raise InputError("the broker has no wallet", hint="set VOISIN_BROKER_KEYSTORE and VOISIN_BROKER_PASSWORD_FILE to its files")
    return open_wallet(Path(keystore), Path(password_file))


if __name__ == "__main__":
    sys.exit(main())
