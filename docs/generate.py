"""
Write docs/reference from the code: commands, settings, errors, events and routes, so that none is ever missing or stale.

    python docs/generate.py           writes the pages
    python docs/generate.py --check   only compares, and fails where a page is not what the code says
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import typer
from litestar.handlers import BaseRouteHandler
from pydantic_settings import BaseSettings

import voisin
from voisin.errors import VoisinError
from voisin.protocol.events import Event

PAGES = Path(__file__).parent / "reference"
ROUTES = {
    "market": ("voisin.market.api", "voisin.market.ecosystem.api"),
    "broker": ("voisin.broker.api",),
    "pool": ("voisin.pool.wire.api",),
    "storage": ("voisin.storage.api",),
    "vault": ("voisin.vault.api", "voisin.vault.terms_api"),
    "index": ("voisin.index.api",),
}
"""The modules with each service's routes."""
EVERY_COMMAND = "Options of every command"


def first_line(text: str | None) -> str:
    """Take the first paragraph of a docstring as one line."""
    return " ".join(inspect.cleandoc(text or "").split("\n\n")[0].split())


def cell(text: object) -> str:
    """Make text fit into a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(titles: list[str], rows: list[list[object]]) -> Iterator[str]:
    """Lay out a table."""
    yield f"| {' | '.join(titles)} |"
    yield f"|{' --- |' * len(titles)}"
    for row in rows:
        yield f"| {' | '.join(cell(item) for item in row)} |"
    yield ""


def load_everything() -> None:
    """Import all of Voisin, so that every class is known."""
    for module in pkgutil.walk_packages(voisin.__path__, "voisin."):
        if not module.name.endswith(("__main__", ".child", "worker_process")) and ".migrations" not in module.name:
            importlib.import_module(module.name)


def subclasses(kind: type) -> Iterator[type]:
    """Walk all classes below one, nearest first."""
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def commands() -> Iterator[str]:
    """The page of the command line."""
    from voisin.cli.main import app

    yield "# Commands\n"
    yield "Every command answers with text for a person, or with one JSON document when given `--json`. It ends with 0 when done, 1 when"
    yield "refused (the message says why and what to do), 2 when the command line is wrong, 130 when interrupted.\n"
    root = typer.main.get_command(app)
    shared = [p for p in root.params if getattr(p, "rich_help_panel", None) == EVERY_COMMAND]
    yield "Every command takes:\n"
    yield from options(shared)
    yield from one_command(root, "voisin")


def one_command(command: Any, path: str) -> Iterator[str]:
    """Describe a command, and all commands of a group; the types are those of Typer's own copy of Click."""
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        words = " ".join(p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument")
        yield f"## {path} {words}".rstrip() + "\n"
        yield f"{inspect.cleandoc(command.help)}\n"
        yield from options([p for p in command.params if getattr(p, "rich_help_panel", None) != EVERY_COMMAND])
        yield f"{command.epilog}\n"
    for name, child in below.items():
        yield from one_command(child, f"{path} {name}")


def options(params: list[Any]) -> Iterator[str]:
    """List the parameters of a command."""
    rows: list[list[object]] = []
    for param in params:
        names = (
            param.metavar or param.name.upper() if param.param_type_name == "argument" else ", ".join([*param.opts, *param.secondary_opts])
        )
        default = "required" if param.required else "" if param.default in (None, "", False) else f"`{param.default}`"
        rows.append([f"`{names}`", default, param.help or ""])
    if rows:
        yield from table(["", "default", ""], rows)


def settings() -> Iterator[str]:
    """The page of the services' settings."""
    yield "# Settings\n"
    yield "A service that runs alone takes its settings from variables of the environment.\n"
    for kind in sorted(set(subclasses(BaseSettings)), key=lambda k: k.__name__):
        if kind.__module__.startswith("voisin."):
            yield f"## {kind.__name__}\n"
            yield f"{first_line(kind.__doc__)}\n"
            prefix = kind.model_config.get("env_prefix", "")
            rows: list[list[object]] = []
            described = attributes(kind.__doc__)
            for name, field in kind.model_fields.items():
                default = (
                    "required" if field.is_required() else f"`{field.default!r}`" if field.default_factory is None else "of the machine"
                )
                rows.append([f"`{prefix}{name.upper()}`", default, field.description or described.get(name, "")])
            yield from table(["variable", "default", ""], rows)


def attributes(docstring: str | None) -> dict[str, str]:
    """Read the `Attributes:` of a docstring."""
    found: dict[str, str] = {}
    name, is_inside = "", False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if line.strip() == "Attributes:":
            is_inside = True
        elif is_inside and line.startswith("    ") and not line.startswith("     "):
            name, _, words = line.strip().partition(":")
            found[name] = words.strip()
        elif is_inside and line.startswith("     "):
            found[name] += " " + line.strip()
        elif line.strip():
            is_inside = False
    return found


def errors() -> Iterator[str]:
    """The page of the errors."""
    yield "# Errors\n"
    yield "All errors descend from `VoisinError`; over HTTP they are problem documents (RFC 9457) with `code` and `hint`. The parent says"
    yield "who must act. A retryable error may vanish by itself.\n"
    rows: list[list[object]] = []
    for kind in (VoisinError, *subclasses(VoisinError)):
        if kind.__module__.startswith("voisin."):
            parent = kind.__mro__[1].__name__
            rows.append([f"`{kind.__name__}`", f"`{kind.code}`", f"`{parent}`", "yes" if kind.retryable else "", first_line(kind.__doc__)])
    unique = sorted({tuple(row) for row in rows}, key=lambda row: (row[2], row))
    yield from table(["error", "code", "is a", "retryable", ""], [list(row) for row in unique])


def events() -> Iterator[str]:
    """The page of the chain's events."""
    yield "# Events\n"
    yield "What the chain client reads from the logs of hub, registries and token; `contracts/SPEC.md` says when each is emitted.\n"
    rows: list[list[object]] = []
    for kind in sorted(get_args(Event), key=lambda k: k.__name__):
        fields = ", ".join(field.name for field in dataclasses.fields(kind))
        rows.append([f"`{kind.__name__}`", fields, first_line(kind.__doc__)])
    yield from table(["event", "carries", ""], rows)


def routes() -> Iterator[str]:
    """The page of the services' HTTP routes."""
    yield "# Routes\n"
    yield "The chain's node speaks Ethereum JSON-RPC at its root, over HTTP and WebSocket.\n"
    for service, modules in ROUTES.items():
        yield f"## {service}\n"
        rows = [row for module in modules for row in routes_of(importlib.import_module(module))]
        yield from table(["path", "method", ""], sorted(rows))


def routes_of(module: ModuleType) -> Iterator[list[object]]:
    """List the routes that a module handles."""
    for handler in vars(module).values():
        if isinstance(handler, BaseRouteHandler):
            methods = ", ".join(sorted(getattr(handler, "http_methods", {"WebSocket"})))
            for path in sorted(handler.paths):
                yield [f"`/{path.strip('/')}`", methods, first_line(handler.fn.__doc__)]


def pages() -> dict[str, str]:
    """Write every page."""
    load_everything()
    made = {"commands": commands(), "settings": settings(), "errors": errors(), "events": events(), "routes": routes()}
    return {f"{name}.md": "\n".join(lines).rstrip() + "\n" for name, lines in made.items()}


def main() -> int:
    """Write or check the pages; 1 when a page is not what the code says."""
    stale = []
    PAGES.mkdir(exist_ok=True)
    for name, text in pages().items():
        path = PAGES / name
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(name)
    if stale:
        sys.stderr.write(f"docs/reference is not what the code says: {', '.join(stale)}; run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
