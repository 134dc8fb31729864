"""Running apps: `run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from voisin.cli.reading import address, amount, inputs_of, settings_of, tag
from voisin.cli.session import Session, command
from voisin.cli.windows import TaskByTaskOption, WindowOption, window_of
from voisin.errors import InputError
from voisin.units import NRLC

if TYPE_CHECKING:
    from voisin.client import RunTerms
    from voisin.client.terms import TaskSpec
    from voisin.protocol.params import RunLimits

_EXAMPLE = "voisin run apps/pathtracer --frames 0..23 --set size=320x240 --animation demo.gif"
ANIMATIONS = (".gif", ".apng", ".png")


def run(
    session: Session,
    app: Annotated[str, typer.Argument(metavar="APP", help="A .wasm file, a folder with an app.toml, or the address of an app.")],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="ARGS", help="The app's arguments; after -- if they start with a dash.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(metavar="FIRST..LAST", help="One task for each frame: short for --set frame=FIRST..LAST.")
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of the app's app.toml; may be repeated.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", metavar="[NAME=]FILE", help="A file that the app sees; may be repeated.")
    ] = None,
    replicas: Annotated[int | None, typer.Option(help="How many workers must agree on each result; 2 unless set.", min=1, max=64)] = None,
    trust: Annotated[int | None, typer.Option(help="The protocol's measure of the same, instead of --replicas.", min=1)] = None,
    max_price: Annotated[NRLC | None, typer.Option(parser=amount, metavar="AMOUNT", help="The most that one task may cost.")] = None,
    category: Annotated[str | None, typer.Option(help="Class of duration, by number or name; the shortest that fits unless given.")] = None,
    time_s: Annotated[float, typer.Option("--time", help="Seconds that a task may take.", min=0)] = 0,
    memory: Annotated[int, typer.Option(help="MiB of memory that a task may use.", min=0)] = 0,
    instructions: Annotated[int, typer.Option(help="WebAssembly instructions that a task may execute.", min=0)] = 0,
    tags: Annotated[str, typer.Option("--tag", parser=tag, metavar="TAGS", help='What machines must have, for example "gpu".')] = "",
    secrets: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NUMBER=NAME", help="A secret of the vault that the app may know; may be repeated."),
    ] = None,
    sealed: Annotated[bool, typer.Option("--sealed", help="Seal the result for the wallet's result key.")] = False,
    workerpool: Annotated[str | None, typer.Option(parser=address, metavar="ADDRESS", help="The only workerpool that may run it.")] = None,
    window: WindowOption = None,
    task_by_task: TaskByTaskOption = False,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where results go; several tasks get a folder each.")] = None,
    animation: Annotated[Path | None, typer.Option(metavar="FILE", help="Also make one .gif or .apng of all PNG results.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend without asking.")] = False,
) -> None:
    """Run an app on the market's machines: shows the price, spends it if you agree, and gives results and invoice."""
    from voisin.cli.running import RunRequest, run_app

    _check(replicas, trust, animation)
    given = settings_of(sets or [])
    if frames is not None:
        if "frame" in given:
            raise typer.BadParameter("--set frame says the same", param_hint="--frames")
        given["frame"] = frames
    terms = _terms(session, replicas, trust, max_price)
    terms |= {"inputs": inputs_of(inputs or []), "tag": tags}
    if secrets or sealed:
        terms |= {"secrets": _secrets(secrets or []), "sealed": sealed}
    if category is not None:
        terms["category"] = category
    if workerpool is not None:
        terms["workerpool"] = workerpool
    if (window_s := window_of(window, task_by_task)) is not None:
        terms["window_s"] = window_s
    if time_s or memory or instructions:
        terms["limits"] = _limits(time_s, memory, instructions)
    tasks = _tasks(app, args or [], given)
    run_app(session, RunRequest(app=app, tasks=tasks, terms=terms, out=out, animation=animation, is_agreed=yes))


def _terms(session: Session, replicas: int | None, trust: int | None, max_price: NRLC | None) -> RunTerms:
    """Fill in what the settings say and the options do not."""
    terms: RunTerms = {"trust": trust} if trust is not None else {"replicas": replicas or session.settings.replicas}
    if max_price is not None:
        terms["max_price"] = max_price
    elif session.settings.max_price is not None:
        terms["max_price"] = session.settings.max_price
    return terms


def _secrets(given: list[str]) -> dict[int, str]:
    named = settings_of(given, "--secret")
    wrong = next((number for number in named if not (number.isascii() and number.isdecimal() and int(number) >= 1)), None)
    if wrong is not None:
        raise typer.BadParameter(f"{wrong!r} is not the number of a secret: they count from 1", param_hint="--secret")
    return {int(number): name for number, name in named.items()}


def _check(replicas: int | None, trust: int | None, animation: Path | None) -> None:
    if replicas is not None and trust is not None:
        raise typer.BadParameter("give one of --replicas and --trust: they say the same", param_hint="--trust")
    if animation is not None and animation.suffix.lower() not in ANIMATIONS:
        raise typer.BadParameter(f"{animation.name!r} does not end in .gif or .apng", param_hint="--animation")


def _limits(time_s: float, memory_mib: int, instructions: int) -> RunLimits:
    from voisin.protocol.params import RunLimits

    return RunLimits(time_s=time_s, memory_bytes=memory_mib << 20, instructions=instructions)


def _tasks(app: str, args: list[str], given: dict[str, str]) -> tuple[TaskSpec, ...]:
    """Say what each task gets: plain arguments, or what the app's manifest makes of its parameters."""
    from voisin.client import TaskSpec, expand_app, read_app

    if args and given:
        raise typer.BadParameter("give arguments, or parameters with --set and --frames, not both", param_hint="ARGS")
    if args or (app.startswith("0x") and not given):
        return (TaskSpec(tuple(args)),)
    if app.startswith("0x"):
        raise typer.BadParameter("parameters need the app's folder with its app.toml; give arguments instead", param_hint="--set")
    file = read_app(Path(app))
    try:
        return expand_app(file, given)
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--set or --frames") from None


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "run", example=_EXAMPLE)(run)
