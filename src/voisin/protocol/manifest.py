"""
The manifest of an app, `app.toml`: what it is called, how it is started, and which parameters make one task or many.

    name = "pathtracer"
    module = "pathtracer.wasm"
    description = "Renders an animation"
    license = "Apache-2.0"
    args = ["--frame", "{frame}", "--frames", "{frame.count}", "--size", "{size}"]
    outputs = ["frame.png"]

    [parameters.frame]
    help = "Which frames to render"
    default = "0..23"
    sweep = true
    aliases = ["frames"]

    [parameters.size]
    help = "Width and height in pixels"
    default = "320x240"
    pattern = "[0-9]+x[0-9]+"

    [limits]
    time_s = 60
    memory_bytes = 67108864

A parameter with `sweep` makes a task of each of its values: `0..23` both ends included, `0..100/10` in steps, or `1,5,9`. Several
such parameters make a task of each combination, the last one changing fastest. In `args`, `{name}` stands for the value and
`{name.count}` for the number of values of a sweep; `{{` and `}}` are braces.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec

from voisin.errors import InputError

MAX_MANIFEST_BYTES: Final = 64 << 10
MAX_TASKS: Final = 100_000
MAX_VALUE_CHARS: Final = 4_096
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_APP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,62}")
_RANGE = re.compile(r"(-?\d{1,15})\.\.(-?\d{1,15})(?:/(\d{1,15}))?", re.ASCII)
_FIELD = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)(\.count)?\}|[{}]")


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    One parameter of an app.

    Attributes:
        help: One sentence for a person.
        default: The value when none is given; None: one must be given.
        sweep: Whether it may have several values, each of which makes a task.
        pattern: A regular expression that each value must match as a whole; empty for any.
        aliases: Other names that callers may use for it.
    """

    help: str = ""
    default: str | None = None
    sweep: bool = False
    pattern: str = ""
    aliases: tuple[str, ...] = ()


class LimitsHint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one task of the app needs at most; 0 means that the app does not say."""

    time_s: float = 0
    memory_bytes: int = 0
    instructions: int = 0
    output_bytes: int = 0


class AppManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What an `app.toml` says.

    Attributes:
        name: The app's name in the registry.
        module: The `.wasm` file beside the manifest.
        description: One sentence for a person.
        license: Its SPDX identifier.
        args: The arguments of each task, with fields for parameters.
        outputs: The files that each task writes into `/iexec_out`.
        parameters: What `args` may name.
        limits: What one task needs at most.
    """

    name: str
    module: str
    description: str = ""
    license: str = ""
    args: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = {}
    limits: LimitsHint = LimitsHint()

    def expand(self, parameters: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
        """
        Make the arguments of every task.

        Args:
            parameters: Values by name or alias; what is left out has its default.

        Returns:
            One tuple of arguments a task, in order; at least one.

        Raises:
            InputError: Names the parameter and what is wrong with its value.
        """
        given = self._given(parameters)
        values = {name: self._values(name, given.get(name)) for name in self.parameters}
        count = 1
        for name, found in values.items():
            count *= len(found)
            if count > MAX_TASKS:
                raise InputError(f"these parameters make more than {MAX_TASKS} tasks", hint=f"give {name} fewer values")
        combinations = itertools.product(*values.values())
        return tuple(self._fill(dict(zip(values, chosen, strict=True)), values) for chosen in combinations)

    def _given(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Sort the given values under the parameters' own names."""
        names = {alias: name for name, parameter in self.parameters.items() for alias in (name, *parameter.aliases)}
        given: dict[str, str] = {}
        for alias, value in parameters.items():
            if alias not in names:
                known = ", ".join(self.parameters) or "none"
                raise InputError(f"{self.name} has no parameter {alias!r}", hint=f"its parameters are: {known}")
            if names[alias] in given:
                raise InputError(f"{names[alias]} of {self.name} is given twice", hint="give it once")
            given[names[alias]] = value
        return given

    def _values(self, name: str, given: str | None) -> Sequence[str]:
        parameter = self.parameters[name]
        text = parameter.default if given is None else given
        if text is None:
            raise InputError(f"{self.name} needs the parameter {name}", hint=parameter.help or "give it a value")
        if len(text) > MAX_VALUE_CHARS or "\0" in text:
            raise InputError(f"the value of {name} is too long or holds a NUL character", hint="put long inputs into a file")
        values = _sweep(name, text) if parameter.sweep else (text,)
        for value in values:
            if parameter.pattern and re.fullmatch(parameter.pattern, value) is None:
                hint = parameter.help or f"it must match {parameter.pattern}"
                raise InputError(f"{value[:80]!r} is not a value for {name} of {self.name}", hint=hint)
        return values

    def _fill(self, chosen: Mapping[str, str], values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
        def replace(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][0]
            return str(len(values[match[1]])) if match[2] else chosen[match[1]]

        return tuple(_FIELD.sub(replace, argument) for argument in self.args)


def load_manifest(data: bytes) -> AppManifest:
    """
    Read a manifest.

    Args:
        data: The contents of an `app.toml`.

    Returns:
        What it says, consistent in itself.

    Raises:
        InputError: It is malformed, or names things that do not exist; the message says where.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError(f"the app's manifest is larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        manifest = msgspec.convert(tomllib.loads(data.decode()), AppManifest)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"the app's manifest is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"the app's manifest is malformed: {error}", hint="compare it with apps/pathtracer/app.toml") from None
    _check_names(manifest)
    _check_args(manifest)
    return manifest


def _check_names(manifest: AppManifest) -> None:
    if _APP_NAME.fullmatch(manifest.name) is None:
        raise InputError(f"{manifest.name[:80]!r} is not a name for an app", hint="use up to 63 letters, digits, spaces and ._-")
    for path in (manifest.module, *manifest.outputs):
        parts = PurePosixPath(path).parts
        if not path or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            raise InputError(f"{path[:80]!r} in the app's manifest leads out of its folder", hint="give a path below it")
    limits = manifest.limits
    if min(limits.time_s, limits.memory_bytes, limits.instructions, limits.output_bytes) < 0:
        raise InputError("a limit in the app's manifest is negative", hint="leave it out if the app does not know")
    taken: set[str] = set()
    for name, parameter in manifest.parameters.items():
        for alias in (name, *parameter.aliases):
            if _NAME.fullmatch(alias) is None:
                raise InputError(f"{alias[:80]!r} is not a name for a parameter", hint="use small letters, digits and _, a letter first")
            if alias in taken:
                raise InputError(f"two parameters have the name {alias!r}", hint="rename one of them")
            taken.add(alias)
        try:
            re.compile(parameter.pattern)
        except re.error as error:
            raise InputError(f"the pattern of {name} is not a regular expression: {error}") from None
        if parameter.default is not None:
            manifest._values(name, None)


def _check_args(manifest: AppManifest) -> None:
    for argument in manifest.args:
        if "\0" in argument:
            raise InputError("an argument in the app's manifest holds a NUL character")
        for match in _FIELD.finditer(argument):
            if match[0] in ("{", "}"):
                raise InputError(f"the argument {argument!r} has a lone brace", hint="write {{ or }} for a brace itself")
            name = match[1]
            if name is None:
                continue
            if name not in manifest.parameters:
                raise InputError(f"the argument {argument!r} names the unknown parameter {name!r}", hint=f"add [parameters.{name}]")
            if match[2] and not manifest.parameters[name].sweep:
                raise InputError(f"{name} in the argument {argument!r} is no sweep and has no count", hint=f"write {{{name}}}")


def _sweep(name: str, text: str) -> Sequence[str]:
    """The values of a sweep: a range with both ends, or a list."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        values = tuple(part.strip() for part in text.split(","))
        if ".." in text or not all(values):
            raise InputError(f"{text[:80]!r} is not a range for {name}", hint="write for example 0..23, 0..100/10 or 1,5,9")
        if len(set(values)) < len(values):
            raise InputError(f"{text[:80]!r} gives {name} the same value twice", hint="name each value once")
        return values
    first, last, step = int(match[1]), int(match[2]), int(match[3] or "1")
    if last < first or step == 0:
        raise InputError(f"{text!r} is an empty range for {name}", hint=f"write the smaller number first: {last}..{first}")
    if (last - first) // step >= MAX_TASKS:
        raise InputError(f"{text!r} gives {name} more than {MAX_TASKS} values", hint="use a smaller range or larger steps")
    return tuple(str(value) for value in range(first, last + 1, step))
