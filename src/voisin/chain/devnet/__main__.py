"""Runs an embedded chain alone: `python -m voisin.chain.devnet --db chain.sqlite --port 8545`."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import get_args

import uvloop

from voisin.chain.devnet.serve import serve_devnet
from voisin.chain.devnet.settings import DevnetSettings, EngineName
from voisin.errors import VoisinError
from voisin.service.logs import configure_logs


def main(arguments: list[str] | None = None) -> int:
    """
    Run a chain until the process is told to stop.

    Args:
        arguments: The command line without the program's name.

    Returns:
        Exit code: 0 after a stop, 1 when the chain cannot run.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = DevnetSettings(
            db=options.db, host=options.host, port=options.port, chain_id=options.chain_id, base_fee=options.base_fee,
            accounts=options.accounts, engine=options.engine, nonce_settle_ms=options.nonce_settle_ms, is_durable=options.durable,
            has_dev_methods=options.dev_methods,
        )  # fmt: skip
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except VoisinError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


async def _serve(settings: DevnetSettings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serve_devnet(settings) as node:
        sys.stdout.write(f"listening on {node.rpc_url} chain {node.chain_id}\n")
        sys.stdout.flush()
        await stopped.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m voisin.chain.devnet", description="Run an embedded Ethereum chain.")
    default = DevnetSettings()
    parser.add_argument("--db", type=Path, help="file that holds the chain; without it the chain goes away with the process")
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--host", default=default.host, help="address to listen on")
    parser.add_argument("--port", type=int, default=8545, help="TCP port, 0 takes any that is free")
    parser.add_argument("--chain-id", type=int, default=default.chain_id, help="chain id")
    parser.add_argument("--base-fee", type=int, default=default.base_fee, help="base fee in wei per gas, 0 makes gas free")
    parser.add_argument("--accounts", type=int, default=default.accounts, help="pre-funded development accounts")
    parser.add_argument("--engine", choices=get_args(EngineName), default=default.engine, help="what executes contracts")
    parser.add_argument("--nonce-settle-ms", type=int, default=0, help="hold receipts for clients that remember nonces [ms]; ethers: 250")
    parser.add_argument("--durable", action="store_true", help="survive a power cut, not just the end of the process")
    parser.add_argument(
        "--dev-methods", action=argparse.BooleanOptionalAction, help="evm_*, anvil_*, hardhat_*; on a loopback address unless said"
    )
    return parser


if __name__ == "__main__":
    configure_logs()  # to stderr: stdout holds the one line that programs read
    sys.exit(main())
