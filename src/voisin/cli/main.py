"""
The `voisin` command: its groups, and the one place where errors become words and exit codes.

0: done. 1: refused, the message says why and what to do. 2: the command line is wrong. 130: interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from voisin.cli import (
    app_commands,
    bag_commands,
    box_commands,
    broker_commands,
    chain_abi,
    chain_commands,
    chain_deploy,
    chain_show,
    chain_trace,
    chain_verify,
    data_commands,
    data_using,
    deal_commands,
    enclave_commands,
    index_commands,
    market_commands,
    order_commands,
    pool_commands,
    run_command,
    secret_commands,
    serve_commands,
    storage_commands,
    vault_commands,
    wallet_commands,
    worker_commands,
)
from voisin.cli.session import Globals, HomeOption, JsonOption, NetworkOption, PasswordOption, WalletOption
from voisin.errors import VoisinError

REFUSED, USAGE, INTERRUPTED = 1, 2, 130
DEBUG_VARIABLE = "VOISIN_DEBUG"
_REPORT = f"this is a fault of Voisin; run it again with {DEBUG_VARIABLE}=1 and report what it prints"

app = typer.Typer(
    name="voisin",
    help="The open marketplace for computing power: rent machines, sell machine time, settle in RLC.",
    epilog="Example: voisin up, and in another terminal: voisin run apps/pathtracer --frames 0..23",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
box_commands.add_to(app)
run_command.add_to(app)
app.add_typer(chain_commands.app)
chain_abi.add_to(chain_commands.app)
chain_deploy.add_to(chain_commands.app)
chain_show.add_to(chain_commands.app)
chain_trace.add_to(chain_commands.app)
chain_verify.add_to(chain_commands.app)
app.add_typer(wallet_commands.app)
app.add_typer(app_commands.app)
app.add_typer(order_commands.app)
app.add_typer(market_commands.app)
app.add_typer(deal_commands.deals)
bag_commands.add_to(deal_commands.deals)
app.add_typer(deal_commands.tasks)
app.add_typer(worker_commands.app)
pool_commands.add_to(serve_commands.pools)
app.add_typer(serve_commands.pools)
app.add_typer(broker_commands.app)
app.add_typer(storage_commands.app)
app.add_typer(index_commands.app)
app.add_typer(secret_commands.app)
app.add_typer(data_commands.app)
data_using.add_to(data_commands.app)
app.add_typer(vault_commands.app)
app.add_typer(enclave_commands.app)


@app.callback()
def root(
    context: typer.Context,
    home: HomeOption = None,
    wallet: WalletOption = None,
    password_file: PasswordOption = None,
    network: NetworkOption = None,
    as_json: JsonOption = False,
) -> None:
    """The open marketplace for computing power: rent machines, sell machine time, settle in RLC."""
    context.obj = Globals(home, wallet, password_file, as_json, network)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run one command line.

    Args:
        arguments: The words after `voisin`; the process's own unless given.

    Returns:
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = app(args=words, prog_name="voisin", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except typer.Abort:
        return _complain("interrupted", "", INTERRUPTED)
    except typer.TyperException as error:
        return _complain(*_usage(error), USAGE)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  whoever read our answer has gone; say nothing more
        return REFUSED
    except Exception as error:  # noqa: BLE001  the last line of defence of a program: a sentence instead of a traceback
        return _failed(error)


def _failed(error: BaseException) -> int:
    """Say what went wrong, as exactly as it is known."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    found = _sole(error)
    if isinstance(found, VoisinError):
        return _complain(found.message, found.hint, REFUSED)
    if isinstance(found, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(found, OSError) and found.strerror:
        where = f" ({found.filename})" if found.filename else ""
        return _complain(f"the system refuses: {found.strerror}{where}", "check the path and its permissions", REFUSED)
    return _complain(f"unexpected {type(found).__name__}: {found}", _REPORT, REFUSED)


def _sole(error: BaseException) -> BaseException:
    """Unwrap groups of one error, as task groups make them."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _usage(error: typer.TyperException) -> tuple[str, str]:
    """Say what is wrong with the command line, and where to look it up."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "voisin"
    say = getattr(error, "format_message", lambda: str(error))
    return say().rstrip("."), f"see `{path} --help`"


def _complain(message: str, hint: str, code: int) -> int:
    line = f"error: {message}.{f' {hint[0].upper()}{hint[1:]}.' if hint else ''}"
    sys.stderr.write(" ".join(line.split()) + "\n")
    return code
