"""Identifiers of files and folders, held against those of IPFS's own importer (npm `ipfs-unixfs-importer`)."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from tests.support.npm import MODULES, requires_npm
from voisin.protocol.unixfs import CHUNK_BYTES, WIDTH, Built, FileTree, Layout, build_folder

SCRIPT = Path(__file__).with_name("unixfs_importer.mjs")
LAYOUTS = ((0, False), (0, True), (1, False), (1, True))


class Case(TypedDict):
    """Files for the importer."""

    files: dict[str, int]
    version: int
    rawLeaves: bool
    wrap: bool
    chunk: int


def content(size: int) -> bytes:
    """Make the bytes that the script makes too: a linear congruential sequence that starts with the size."""
    state, data = size, bytearray(size)
    for at in range(size):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFF_FFFF
        data[at] = state >> 24
    return bytes(data)


def imported(cases: list[Case]) -> list[dict[str, tuple[str, int]]]:
    """Ask the importer."""
    requires_npm("ipfs-unixfs-importer")
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run([node, str(SCRIPT)], input=json.dumps(cases), capture_output=True, text=True, cwd=MODULES.parent, timeout=120)
    assert done.returncode == 0, done.stderr
    return [{path: (cid, size) for path, (cid, size) in answer.items()} for answer in json.loads(done.stdout)]


def ours(size: int, layout: Layout) -> Built:
    """Cut a file; gives its root."""
    tree, data = FileTree(layout), content(size)
    made = [built for start in range(0, size, layout.chunk_bytes) for built in tree.add(data[start : start + layout.chunk_bytes])]
    made.extend(tree.finish())
    assert tree.root.name == made[-1].name
    return made[-1]


def compare(sizes: list[int], chunk: int, layouts: Sequence[tuple[int, bool]] = LAYOUTS) -> None:
    cases: list[Case] = [
        {"files": {str(size): size for size in sizes}, "version": version, "rawLeaves": raw, "wrap": False, "chunk": chunk}
        for version, raw in layouts
    ]
    for case, theirs in zip(cases, imported(cases), strict=True):
        layout = Layout(case["version"], case["rawLeaves"], chunk)
        made = {str(size): ours(size, layout) for size in sizes}
        assert {path: (str(built.name), built.total) for path, built in made.items()} == theirs


def test_files_around_the_border_of_a_chunk() -> None:
    compare([0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, random.randrange(3 * CHUNK_BYTES)], CHUNK_BYTES)


def test_files_around_the_borders_of_a_node() -> None:
    compare([WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH, 2 * WIDTH + 1, random.randrange(5 * WIDTH)], 1)
    compare([WIDTH * WIDTH + random.randrange(2)], 1, [(1, True)])


def test_folders() -> None:
    paths = {"Z": 1, "a/b/c": 300, "a/b/é": 70, "a/file with spaces": 0, "a/b.": 5, "b": 2_000}
    cases: list[Case] = [{"files": paths, "version": version, "rawLeaves": raw, "wrap": True, "chunk": 256} for version, raw in LAYOUTS]
    for case, theirs in zip(cases, imported(cases), strict=True):
        layout = Layout(case["version"], case["rawLeaves"], 256)
        links = {path: ours(size, layout).link() for path, size in paths.items()}
        inner = build_folder({"c": links["a/b/c"], "é": links["a/b/é"]}, layout.version)
        middle = {"b": inner.link(), "file with spaces": links["a/file with spaces"], "b.": links["a/b."]}
        outer = build_folder(middle, layout.version)
        root = build_folder({"Z": links["Z"], "a": outer.link(), "b": links["b"]}, layout.version)
        for path, built in (("a/b", inner), ("a", outer), ("", root)):
            assert theirs[path] == (str(built.name), built.total)
