"""The sample apps, run as workers run them: what they make is right, and their manifests say what they take."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.support.guests import APPS, Bench, tighter
from voisin.protocol.manifest import load_manifest
from voisin.protocol.results import callback_data, result_digest
from voisin.sandbox import Cause, Limits

pytestmark = pytest.mark.anyio

ROOMY = tighter(instructions=20_000_000_000, memory_bytes=128 << 20)
APP_NAMES = sorted(path.parent.name for path in APPS.glob("*/app.toml"))


def _colours(path: Path) -> list[tuple[int, int, int]]:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        image.load()
        pixels = image.tobytes()
    return [(pixels[at], pixels[at + 1], pixels[at + 2]) for at in range(0, len(pixels), 3)]


def test_every_app_has_a_manifest() -> None:
    assert APP_NAMES == ["inference", "median", "noop", "pathtracer", "wordcount"]


@pytest.mark.parametrize("name", APP_NAMES)
async def test_an_app_runs_as_its_manifest_says(bench: Bench, tmp_path: Path, name: str) -> None:
    manifest = load_manifest((APPS / name / "app.toml").read_bytes())
    assert manifest.name == name
    assert manifest.description
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "text").write_text("one")
    if name == "inference":
        (inputs / "model").write_bytes((APPS / name / "iris.model").read_bytes())
    hint = manifest.limits
    limits = Limits(time_s=hint.time_s, memory_bytes=hint.memory_bytes, output_bytes=hint.output_bytes or 1)
    (args,) = manifest.expand({"size": "32x24"} if "size" in manifest.parameters else {})
    outcome = await bench.run(APPS / name / manifest.module, *args, limits=limits, inputs=inputs)
    assert outcome.cause is None
    assert sorted(path.name for path in bench.output.iterdir()) == sorted(manifest.outputs)


async def test_the_picture_is_a_picture(bench: Bench) -> None:
    outcome = await bench.run("pathtracer", "--frame", "3", "--frames", "24", "--size", "97x61", limits=ROOMY)
    assert outcome.stdout == b"frame 3 of 24: 97x61, 4 samples a pixel\n"
    with Image.open(bench.output / "frame.png") as image:
        assert image.size == (97, 61)
    colours = _colours(bench.output / "frame.png")
    assert len(set(colours)) > 1_000, "neither empty nor flat"
    sky, floor = colours[: 97 * 5], colours[-97 * 5 :]
    assert sum(blue for _, _, blue in sky) > 0.9 * sum(red for red, _, _ in sky) > 0
    assert max(map(max, floor)) - min(map(min, floor)) > 80, "the floor is chequered"
    raw = 3 * 97 * 61
    assert (bench.output / "frame.png").stat().st_size < 0.7 * raw, "it is compressed"


async def test_frames_move_and_come_back_to_the_first(bench: Bench) -> None:
    hashes = []
    for frame, frames in [(0, 8), (1, 8), (4, 8), (7, 8)]:
        await bench.run("pathtracer", "--frame", str(frame), "--frames", str(frames), "--size", "48x32", limits=ROOMY)
        hashes.append(hashlib.sha256((bench.output / "frame.png").read_bytes()).digest())
        if frame in (0, 7):
            brightness = sum(map(sum, _colours(bench.output / "frame.png")))
            assert 48 * 32 * 3 * 40 < brightness < 48 * 32 * 3 * 220
    assert len(set(hashes)) == 4


async def test_more_samples_give_a_smoother_picture(bench: Bench) -> None:
    def roughness(path: Path) -> int:
        colours = _colours(path)
        return sum(abs(left[1] - right[1]) for left, right in itertools.pairwise(colours))

    found = []
    for samples in ("1", "64"):
        await bench.run("pathtracer", "--size", "64x48", "--samples", samples, limits=ROOMY)
        found.append(roughness(bench.output / "frame.png"))
    assert found[1] < found[0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--frame"], "needs a value"),
        (["--frame", "-1"], "whole number from 0"),
        (["--frame", "1x"], "whole number from 0"),
        (["--frame", ""], "whole number from 0"),
        (["--frame", "99999999999999999999"], "whole number from 0"),
        (["--frames", "0"], "whole number from 1"),
        (["--size", "64"], "WIDTHxHEIGHT"),
        (["--size", "64x"], "WIDTHxHEIGHT"),
        (["--size", "8x8"], "WIDTHxHEIGHT"),
        (["--size", "9999x64"], "WIDTHxHEIGHT"),
        (["--samples", "0"], "whole number from 1"),
        (["--colour", "red"], "unknown option"),
    ],
)
async def test_bad_arguments_are_explained(bench: Bench, args: list[str], message: str) -> None:
    outcome = await bench.run("pathtracer", *args)
    assert (outcome.cause, outcome.exit_code) == (Cause.EXIT_CODE, 2)
    assert message in outcome.stderr.decode()
    assert re.fullmatch(r"pathtracer: [^\n]+\n", outcome.stderr.decode())


async def test_too_little_memory_for_a_picture_is_named(bench: Bench) -> None:
    outcome = await bench.run("pathtracer", "--size", "1000x1000", limits=tighter(memory_bytes=32 << 20))
    assert outcome.cause is Cause.MEMORY_LIMIT


TEXTS = {
    "a.txt": "The cat and the dog. THE END; don't-stop 3rd\n",
    "folder/b.txt": "Ärger über Öl - naïve café, ärger: «zitat» “quoted” 数字 数字、文 \ufeffbom",
    "folder/deep/c.txt": "x" * 300 + " " + "end",
    "empty.txt": "",
}


def _expected(texts: list[bytes]) -> Counter[str]:
    """The same rule in Python: letters and digits of any script, ASCII in lower case."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word in re.findall(r"[^\W_]+", text.decode(errors="replace").replace("\ufffd", " ")):
            counts["".join(char.lower() if char.isascii() else char for char in word)[:256]] += 1
    return counts


async def test_words_are_counted_as_python_counts_them(bench: Bench, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    for name, text in TEXTS.items():
        (inputs / name).parent.mkdir(parents=True, exist_ok=True)
        (inputs / name).write_text(text)
    outcome = await bench.run("wordcount", inputs=inputs)
    expected = _expected([text.encode() for text in TEXTS.values()])
    lines = sorted(expected.items(), key=lambda item: (-item[1], item[0].encode()))
    assert (bench.output / "counts.txt").read_text() == "".join(f"{count} {word}\n" for word, count in lines)
    assert outcome.stdout.decode() == f"{expected.total()} words in 4 files, {len(expected)} different\n"


async def test_bytes_that_are_no_text_separate_words(bench: Bench, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "broken").write_bytes(b"one\xfftwo\xc3three\xe2\x82four\xed\xa0\x80five\xf5six\xc0\xafseven\xf0\x80\x80\x80eight")
    await bench.run("wordcount", inputs=inputs)
    words = [line.split()[1] for line in (bench.output / "counts.txt").read_text().splitlines()]
    assert words == sorted(["one", "two", "three", "four", "five", "six", "seven", "eight"])


async def test_only_named_files_are_counted_and_missing_ones_are_named(bench: Bench, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "one").write_text("one")
    (inputs / "two").write_text("two")
    assert (await bench.run("wordcount", "two", inputs=inputs)).cause is None
    assert (bench.output / "counts.txt").read_text() == "1 two\n"
    outcome = await bench.run("wordcount", "three", inputs=inputs)
    assert (outcome.exit_code, outcome.stderr) == (2, b"wordcount: cannot read /iexec_in/three\n")
    outcome = await bench.run("wordcount")
    assert (outcome.exit_code, outcome.stderr) == (2, b"wordcount: no input file in /iexec_in\n")


async def test_many_words_are_counted(bench: Bench, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "many").write_text(" ".join(f"w{number % 20_011}" for number in range(50_000)))
    outcome = await bench.run("wordcount", inputs=inputs, limits=ROOMY)
    assert outcome.stdout == b"50000 words in 1 files, 20011 different\n"


@pytest.mark.parametrize(
    ("numbers", "median"),
    [
        (["7"], 7),
        (["3,1,2"], 2),
        (["4", "1,9", "-5"], 1),
        (["-3,-1"], -3),
        ([f"{2**63 - 1},{-(2**63)},{2**63 - 1}"], 2**63 - 1),
        (["-1"], -1),
    ],
)
async def test_the_median_is_an_answer_for_a_contract(bench: Bench, numbers: list[str], median: int) -> None:
    outcome = await bench.run("median", *numbers)
    assert outcome.cause is None
    assert (bench.output / "median.txt").read_text() == f"{median}\n"
    computed = (bench.output / "computed.json").read_bytes()
    assert callback_data(computed) == median.to_bytes(32, "big", signed=True)
    assert (
        result_digest({"median.txt": b"of it", "computed.json": b""}, computed=computed, is_failure=False, has_callback=False)
        == "0x" + b"of it".hex()
    )


@pytest.mark.parametrize("numbers", [[], [""], ["1,"], [",1"], ["1;2"], ["one"], ["1.5"], [f"{2**63}"], ["1", "x"]])
async def test_what_has_no_median_is_refused(bench: Bench, numbers: list[str]) -> None:
    outcome = await bench.run("median", *numbers)
    assert (outcome.exit_code, outcome.stderr.startswith(b"median: ")) == (2, True)
