"""
`python -m voisin.broker`: serve a broker, set up by VOISIN_BROKER_* variables, until it is interrupted.

`VOISIN_BROKER_KEYSTORE` names the keystore file of the wallet that pays the gas, `VOISIN_BROKER_PASSWORD_FILE` a file with its password.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from pydantic import ValidationError

from voisin.broker.opening import serve_broker
from voisin.broker.settings import BrokerSettings
from voisin.chain.keystore import open_wallet
from voisin.errors import InputError, VoisinError
from voisin.protocol.signatures import KeySigner
from voisin.service.logs import configure_logs


def main() -> int:
    """Serve; answers the exit code."""
    configure_logs()
    try:
        settings = BrokerSettings()
        wallet = _wallet()
    except (ValidationError, VoisinError) as error:
        sys.stderr.write(f"the settings are wrong: {error}\n")
        return 2
    try:
        anyio.run(serve_broker, settings, wallet)
    except VoisinError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _wallet() -> KeySigner:
    keystore, password_file = (os.environ.get(f"VOISIN_BROKER_{name}", "") for name in ("KEYSTORE", "PASSWORD_FILE"))
    if not keystore or not password_file:
        raise InputError("the broker has no wallet", hint="set VOISIN_BROKER_KEYSTORE and VOISIN_BROKER_PASSWORD_FILE to its files")
    return open_wallet(Path(keystore), Path(password_file))


if __name__ == "__main__":
    sys.exit(main())
