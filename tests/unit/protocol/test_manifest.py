"""An app's manifest: what it makes of parameters, and every way of writing it wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.errors import InputError
from voisin.protocol.manifest import AppManifest, LimitsHint, Parameter, load_manifest

TRACER = b"""
name = "tracer"
module = "tracer.wasm"
description = "Renders"
license = "Apache-2.0"
args = ["--frame", "{frame}", "--of", "{frame.count}", "--size={size}", "{{literal}}", "{eye}{eye}"]
outputs = ["frame.png", "logs/trace.txt"]
[parameters.frame]
help = "Which frames"
default = "0..0"
sweep = true
pattern = "[0-9]+"
aliases = ["frames"]
[parameters.size]
default = "320x240"
pattern = "[0-9]+x[0-9]+"
[parameters.eye]
default = "left,right"
sweep = true
[limits]
time_s = 60
memory_bytes = 1024
"""


def test_the_file_is_read_into_what_it_says() -> None:
    manifest = load_manifest(TRACER)
    assert (manifest.name, manifest.module, manifest.license) == ("tracer", "tracer.wasm", "Apache-2.0")
    assert manifest.outputs == ("frame.png", "logs/trace.txt")
    assert manifest.limits == LimitsHint(time_s=60, memory_bytes=1024)
    assert manifest.parameters["frame"] == Parameter(help="Which frames", default="0..0", sweep=True, pattern="[0-9]+", aliases=("frames",))


def test_one_task_for_each_combination_the_last_sweep_fastest() -> None:
    tasks = load_manifest(TRACER).expand({"frames": "8..9", "size": "64x48"})
    assert tasks == (
        ("--frame", "8", "--of", "2", "--size=64x48", "{literal}", "leftleft"),
        ("--frame", "8", "--of", "2", "--size=64x48", "{literal}", "rightright"),
        ("--frame", "9", "--of", "2", "--size=64x48", "{literal}", "leftleft"),
        ("--frame", "9", "--of", "2", "--size=64x48", "{literal}", "rightright"),
    )


def test_an_app_without_parameters_makes_one_task() -> None:
    assert load_manifest(b'name = "a"\nmodule = "a.wasm"').expand({}) == ((),)
    assert load_manifest(b'name = "a"\nmodule = "a.wasm"\nargs = ["x"]').expand({}) == (("x",),)


SWEEPS = {
    "0..3": ["0", "1", "2", "3"],
    "5..5": ["5"],
    "-2..1": ["-2", "-1", "0", "1"],
    "0..10/5": ["0", "5", "10"],
    "0..9/4": ["0", "4", "8"],
    " 1..2 ": ["1", "2"],
    "7": ["7"],
    "1, 5,9": ["1", "5", "9"],
    "a,b": ["a", "b"],
}


def _sweeping(pattern: str = "") -> AppManifest:
    return AppManifest(name="a", module="a.wasm", args=("{x}",), parameters={"x": Parameter(sweep=True, pattern=pattern)})


@pytest.mark.parametrize(("text", "values"), SWEEPS.items())
def test_sweeps_by_hand(text: str, values: list[str]) -> None:
    assert [arguments[0] for arguments in _sweeping().expand({"x": text})] == values


@given(st.integers(-1000, 1000), st.integers(0, 200), st.integers(1, 50))
def test_sweeps_are_ranges_with_both_ends(first: int, length: int, step: int) -> None:
    found = [int(arguments[0]) for arguments in _sweeping().expand({"x": f"{first}..{first + length}/{step}"})]
    assert found == list(range(first, first + length + 1, step))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3..1", "empty range"),
        ("0..3/0", "empty range"),
        ("0..", "not a range"),
        ("..3", "not a range"),
        ("0..3..5", "not a range"),
        ("0..x", "not a range"),
        ("1.5..2", "not a range"),
        ("1,,2", "not a range"),
        ("", "not a range"),
        (",", "not a range"),
        ("1,1", "same value twice"),
        ("0..100000", "more than 100000 values"),
        ("0..999999999999999", "more than 100000 values"),
        ("1\0", "NUL"),
        ("9" * 5_000, "too long"),
    ],
)
def test_sweeps_that_make_no_sense(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        _sweeping().expand({"x": text})


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"colour": "red"}, "no parameter 'colour': its parameters are: frame, size, eye"),
        ({"size": "big"}, "'big' is not a value for size of tracer: it must match"),
        ({"size": "64x48 --evil"}, "is not a value for size"),
        ({"size": "64x48\n"}, "is not a value for size"),
        ({"frame": "-1..3"}, "'-1' is not a value for frame"),
        ({"frame": "1", "frames": "2"}, "given twice"),
        ({"frame": "0..60000", "eye": "a,b"}, "more than 100000 tasks"),
    ],
)
def test_bad_parameters_are_named_with_a_remedy(parameters: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_manifest(TRACER).expand(parameters)


def test_a_parameter_without_default_must_be_given() -> None:
    manifest = load_manifest(b'name = "a"\nmodule = "a.wasm"\nargs = ["{x}"]\n[parameters.x]\nhelp = "How many"')
    with pytest.raises(InputError, match="a needs the parameter x: How many"):
        manifest.expand({})
    assert manifest.expand({"x": "{y}"}) == (("{y}",),), "a value is never looked into"


BASE = 'name = "a"\nmodule = "a.wasm"\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = ", "not TOML"),
        ("\ud800", "not TOML"),
        ("", "missing required field `name`"),
        ('name = "a"', "missing required field `module`"),
        (BASE + 'colour = "red"', "unknown field `colour`"),
        (BASE + "args = [1]", r"Expected `str`, got `int` - at `\$.args"),
        (BASE + "[parameters.x]\nsweeps = true", "unknown field `sweeps`"),
        (BASE + "[parameters.x]\ndefault = 3", "Expected `str | null`"),
        (BASE + '[parameters.X]\ndefault = "3"', "not a name for a parameter"),
        (BASE + '[parameters.x]\npattern = "("', "not a regular expression"),
        (BASE + '[parameters.x]\npattern = "[0-9]"\ndefault = "a"', "'a' is not a value for x"),
        (BASE + '[parameters.x]\nsweep = true\ndefault = "3..1"', "empty range"),
        (BASE + '[parameters.x]\naliases = ["y"]\n[parameters.y]', "two parameters have the name 'y'"),
        (BASE + 'args = ["{x}"]', "unknown parameter 'x'"),
        (BASE + 'args = ["{"]', "lone brace"),
        (BASE + 'args = ["{x y}"]', "lone brace"),
        (BASE + 'args = ["}"]', "lone brace"),
        (BASE + 'args = ["a\\u0000"]', "NUL"),
        (BASE + 'args = ["{x.count}"]\n[parameters.x]', "no sweep"),
        (BASE + "[limits]\ntime_s = -1", "negative"),
        (BASE + 'outputs = ["../x"]', "leads out of its folder"),
        (BASE + 'outputs = [""]', "leads out of its folder"),
        ('name = "a"\nmodule = "/a.wasm"', "leads out of its folder"),
        ('name = "a"\nmodule = "x/../../a.wasm"', "leads out of its folder"),
        ('name = "../a"\nmodule = "a.wasm"', "not a name for an app"),
        ('name = ""\nmodule = "a.wasm"', "not a name for an app"),
        ("#" * 70_000, "larger than 65536 bytes"),
    ],
)
def test_every_way_of_writing_it_wrong_is_explained(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_manifest(text.encode(errors="surrogatepass"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        load_manifest(data)
    except InputError:
        return
