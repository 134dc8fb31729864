"""Running a vault, and judging what it was shown: `vault key | run | check-evidence`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.session import Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from voisin.attestation import EnclavePolicy, Verdict
    from voisin.protocol.vault_terms import TaskEvidence
    from voisin.vault import VaultSettings

app = typer.Typer(name="vault", help="Vaults: keep secrets for their owners, and hand them to enclaves.")


def key(session: Session, path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the key goes; there must be none.")]) -> None:
    """Make a new key for a vault's records, in a file that only its owner may read; keep it away from the records."""
    from voisin.vault import create_key_file

    key_id = create_key_file(path)
    session.answer({"path": str(path), "key_id": key_id}, lambda out: out.print(f"{path} (key {key_id})", soft_wrap=True))


def run(
    session: Session,
    key_file: Annotated[Path, typer.Option(metavar="FILE", help="The key of the records, made by `voisin vault key`.")],
    database: Annotated[str, typer.Option(metavar="URL", help="Where records are kept; SQLite in the home folder unless given.")] = "",
    enclave_policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            envvar="VOISIN_VAULT_ENCLAVE_POLICY_FILE",
            help="What is asked of real enclaves (JSON); without it they get nothing.",
        ),
    ] = None,
    allow_simulated: Annotated[bool, typer.Option("--allow-simulated", help="Also serve simulated enclaves, which hide nothing.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)] = 13300,
) -> None:
    """Run a vault for the market until Ctrl-C; put a proxy that speaks TLS before it when others reach it over a network."""
    from voisin.vault import VaultSettings

    folder = session.home / "vault"
    if not database:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = VaultSettings(
        database_url=database or f"sqlite:///{folder / 'vault.sqlite'}",
        key_file=key_file,
        rpc_url=session.network.rpc_url,
        hub=session.network.hub,
        host=host,
        port=port,
        allow_simulated=allow_simulated,
        enclave_policy_file=enclave_policy,
    )
    _serve(session, settings)


def check_evidence(
    session: Session,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's id, or a file with its evidence as a vault gave it.")],
    vault: Annotated[str, typer.Option(metavar="URL", help="The vault to ask; the network's unless given.")] = "",
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is asked of enclaves, as for `voisin vault run`; any program unless given.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep the evidence in a file, to be judged later.")] = None,
) -> None:
    """Judge again what the enclaves of a task showed, at its time; exit code 1 when something speaks against it."""
    import anyio

    from voisin.attestation import judge_again
    from voisin.protocol.codec import encode

    is_id = task.startswith("0x")
    found = anyio.run(_ask_evidence, task, vault or session.network.vault_url) if is_id else _read_evidence(Path(task))
    if save is not None:
        save.write_bytes(encode(found))
    verdicts = judge_again(found, None if policy is None else read_policy(policy))
    session.answer(verdicts, lambda out: show_verdicts(out, verdicts))
    if not verdicts or any(verdict.reasons or not verdict.is_signed for verdict in verdicts):
        raise typer.Exit(1)


def read_policy(file: Path) -> EnclavePolicy:
    """Read what is asked of enclaves; raises `InputError` when that cannot be read."""
    from voisin.attestation import EnclavePolicy
    from voisin.protocol.codec import decode

    return decode(read_bytes(file), EnclavePolicy, f"the policy {file}")


def read_bytes(file: Path) -> bytes:
    """Read a file; raises `InputError` when that is not possible."""
    from voisin.errors import InputError

    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from None


def _read_evidence(file: Path) -> TaskEvidence:
    from voisin.protocol.codec import decode
    from voisin.protocol.vault_terms import TaskEvidence

    return decode(read_bytes(file), TaskEvidence, f"the evidence in {file}")


async def _ask_evidence(task: str, vault_url: str) -> TaskEvidence:
    from voisin.client.services import Service
    from voisin.errors import InputError
    from voisin.protocol.ids import as_hash32
    from voisin.protocol.vault_terms import TaskEvidence

    name = as_hash32(task)
    if not vault_url:
        raise InputError("the network has no vault", hint="name one with --vault")
    async with Service("vault", vault_url) as service:
        return await service.read(f"/v1/tasks/{name}/evidence", TaskEvidence)


def show_verdicts(out: Console, verdicts: tuple[Verdict, ...]) -> None:
    """Print what the evidence of each enclave of a task is worth."""
    if not verdicts:
        out.print("no enclave got secrets of this task here")
    for verdict in verdicts:
        signed = "signed by the vault" if verdict.is_signed else "NOT signed by the vault"
        out.print(f"worker {verdict.worker}: {verdict.technology}, {verdict.status}, judged at {verdict.at}, {signed}", soft_wrap=True)
        for register, digest in verdict.measurements.items():
            out.print(f"  {register} {digest}", soft_wrap=True)
        for reason in verdict.reasons or ("nothing speaks against it",):
            out.print(f"  {reason}", soft_wrap=True)


def _serve(session: Session, settings: VaultSettings) -> None:
    import anyio

    from voisin.cli.until import until_signal
    from voisin.service.serving import serve_app
    from voisin.vault import open_vault

    session.start_logs()

    async def work() -> None:
        async with open_vault(settings) as vault, serve_app(vault.app, host=settings.host, port=settings.port) as url:
            view = vault.service.view()
            words = f"ready: vault {view.vault} on {url}; Ctrl-C stops"
            session.answer({"url": url, "vault": view.vault, "allow_simulated": view.allow_simulated}, lambda out: out.print(words))
            sys.stdout.flush()
            await until_signal()

    anyio.run(work)


command(app, "key", example="voisin vault key ~/keys/vault.key")(key)
command(app, "run", example="voisin vault run --key-file ~/keys/vault.key")(run)
command(app, "check-evidence", example="voisin vault check-evidence 0x…")(check_evidence)
