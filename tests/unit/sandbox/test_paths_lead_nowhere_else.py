"""A guest's path either leads to a node of its own tree or is refused; whatever it is made of."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voisin.sandbox.abi import CallError, Errno
from voisin.sandbox.files import File, Folder, Node, find, split_path, walk


def _folder(inode: int, **entries: Node) -> Folder:
    folder = Folder(inode, 0, is_writable=True)
    folder.entries.update(entries)
    return folder


class _Plain(Node):
    """Stands for a file that nobody opens."""


DEEP = _folder(4, leaf=_Plain(5, 0, is_writable=True))
INNER = _folder(2, deep=DEEP, file=_Plain(3, 0, is_writable=True))
ROOT = _folder(1, inner=INNER, other=_folder(6))
BY_PATH = {"": ROOT} | dict(walk(ROOT))
PARTS = st.sampled_from(["inner", "deep", "leaf", "file", "other", "new", ".", "..", "", "...", "é"])


@given(st.lists(PARTS, max_size=12))
def test_lookup_agrees_with_the_specification_of_paths(parts: list[str]) -> None:
    """Compared with a plain walk over full path names, written a second time."""
    text = "/".join(parts)
    if not text or text.startswith("/"):
        return
    expected: Node | Errno | None = ROOT
    names: list[str] = []
    for part in text.split("/"):
        if part in ("", "."):
            continue
        if isinstance(expected, Errno):
            break
        if expected is None:
            expected = Errno.NOENT
        elif "/".join(names) not in BY_PATH or not isinstance(expected, Folder):
            expected = Errno.NOTDIR
        elif part == "..":
            expected = Errno.PERM if not names else BY_PATH[posixpath.dirname("/".join(names))]
            names = names[:-1]
        else:
            names.append(part)
            expected = BY_PATH.get("/".join(names))
    if isinstance(expected, Errno):
        with pytest.raises(CallError) as caught:
            find(ROOT, text.encode())
        assert caught.value.errno is expected
    else:
        assert find(ROOT, text.encode()).node is expected


@given(st.binary(max_size=300))
def test_any_bytes_end_inside_or_with_an_error_code(raw: bytes) -> None:
    try:
        place = find(ROOT, raw)
    except CallError:
        return
    assert place.node is None or place.node in BY_PATH.values()
    assert all(folder in BY_PATH.values() for folder in place.above)
    assert "/" not in place.name
    assert place.name not in (".", "..")


@pytest.mark.parametrize(
    ("raw", "errno"),
    [
        (b"", Errno.NOENT),
        (b"/etc/passwd", Errno.PERM),
        (b"..", Errno.PERM),
        (b"inner/../..", Errno.PERM),
        (b"inner/../../inner", Errno.PERM),
        (b"a\0b", Errno.INVAL),
        (b"a\nb", Errno.INVAL),
        (b"\xff", Errno.ILSEQ),
        (b"\xed\xa0\x80", Errno.ILSEQ),
        (b"x" * 256, Errno.NAMETOOLONG),
        (("é" * 128).encode(), Errno.NAMETOOLONG),
        (b"a/" * 65, Errno.NAMETOOLONG),
        (b"./" * 2_049, Errno.NAMETOOLONG),
        (b"file/leaf", Errno.NOENT),
        (b"inner/file/..", Errno.NOTDIR),
        (b"new/..", Errno.NOENT),
    ],
)
def test_refusals_by_hand(raw: bytes, errno: Errno) -> None:
    with pytest.raises(CallError) as caught:
        find(ROOT, raw)
    assert caught.value.errno is errno


def test_a_trailing_slash_asks_for_a_folder() -> None:
    assert find(ROOT, b"inner/").existing() is INNER
    with pytest.raises(CallError) as caught:
        find(ROOT, b"inner/file/").existing()
    assert caught.value.errno is Errno.NOTDIR
    assert split_path(b"a//./b/") == ["a", "b", ""]


def test_folders_list_in_the_order_of_bytes() -> None:
    names = ["b", "a", "Z", "é", "z", "10", "9", "\U0001f600", "￿"]
    folder = _folder(1, **{name: _folder(2) for name in names})
    assert [name for name, _ in folder.listing()] == ["10", "9", "Z", "a", "b", "z", "é", "￿", "\U0001f600"]


def test_a_file_of_the_tree_is_one_object_under_one_name() -> None:
    assert not any(isinstance(node, File) for node in BY_PATH.values())
    assert [path for path, _ in walk(ROOT)] == ["inner", "inner/deep", "inner/deep/leaf", "inner/file", "other"]
