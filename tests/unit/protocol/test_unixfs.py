"""Files as trees of blocks: identifiers that others have published, and the borders of chunks and nodes by hand."""

from __future__ import annotations

import hashlib

import pytest

from voisin.errors import InputError, TrustError
from voisin.protocol.dagpb import Link, Node, decode_node, encode_node, field_bytes, field_number, read_varint, varint
from voisin.protocol.ipld import Codec, Name, name_of
from voisin.protocol.unixfs import CHUNK_BYTES, MAX_LINKS, FileTree, Kind, Layout, build_folder, read_entry
from voisin.protocol.walk import MAX_DEPTH, FileWalk

V0, V1 = Layout(version=0, has_raw_leaves=False), Layout()
Blocks = dict[bytes, bytes]


def add(data: bytes, layout: Layout = V1) -> tuple[Name, Blocks]:
    """Cut a file; gives its root and its blocks by hash."""
    tree, blocks = FileTree(layout), {}
    for start in range(0, len(data), layout.chunk_bytes):
        blocks.update({built.name.digest: built.block for built in tree.add(data[start : start + layout.chunk_bytes])})
    blocks.update({built.name.digest: built.block for built in tree.finish()})
    return tree.root.name, blocks


def read(root: Name, blocks: Blocks, start: int = 0, stop: int | None = None) -> tuple[bytes, int]:
    """Read a file back; gives its bytes and how many blocks that took."""
    walk, data, visited = FileWalk(root, start, stop), b"", 0
    while (wanted := walk.wanted()) is not None:
        data += walk.feed(blocks[wanted.name.digest])
        visited += 1
    return data, visited


@pytest.mark.parametrize(
    ("data", "layout", "name"),
    [  # published in IPFS's own documents and tests
        (b"", V0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (b"hello world\n", V0, "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"),
        (b"hello world", V0, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
        (b"", V1, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (b"hello world", V1, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
    ],
)
def test_files_have_their_published_names(data: bytes, layout: Layout, name: str) -> None:
    assert str(add(data, layout)[0]) == name


def test_the_empty_folder_has_its_published_name() -> None:
    assert str(build_folder({}, 0).name) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"


def test_a_node_by_hand() -> None:
    leaf = name_of(b"x", Codec.RAW)
    link = bytes.fromhex("0a24") + leaf.raw + bytes.fromhex("12001801")
    assert encode_node(Node((Link(leaf, "", 1),), b"d")) == b"\x12" + bytes([len(link)]) + link + b"\x0a\x01d"


@pytest.mark.parametrize(
    ("chunks", "nodes"),
    [(1, 0), (2, 1), (174, 1), (175, 3), (174 * 2, 3), (174 * 2 + 1, 4), (174 * 174 + 1, 178)],
)
def test_nodes_fill_up_before_the_tree_grows(chunks: int, nodes: int) -> None:
    data = b"".join(number.to_bytes(4) for number in range(chunks))
    root, blocks = add(data, Layout(chunk_bytes=4))
    assert len(blocks) == chunks + nodes
    assert read(root, blocks)[0] == data


def test_a_range_visits_only_the_blocks_on_its_way() -> None:
    data = b"".join(number.to_bytes(4) for number in range(174 * 174 + 1))
    root, blocks = add(data, Layout(chunk_bytes=4, version=0, has_raw_leaves=False))
    assert read(root, blocks, 1_000, 1_001) == (data[1_000:1_001], 4)
    assert read(root, blocks, len(data) - 1) == (data[-1:], 4)
    assert read(root, blocks, 694, 698) == (data[694:698], 6)  # the last chunk of one node, the first of the next
    assert read(root, blocks, 5, 5)[0] == b""


def test_memory_holds_one_path_of_the_tree() -> None:
    tree = FileTree(Layout(chunk_bytes=1))
    for number in range(40_000):
        for _ in tree.add(bytes([number % 256])):
            pass
    assert sum(len(level) for level in tree._levels) < 3 * 174


def test_folders_are_sorted_by_bytes_and_bounded() -> None:
    link = name_of(b"x", Codec.RAW)
    folder = build_folder({name: Link(link, "", 1) for name in ("é", "b", "a", "Z")}, 1)
    assert [link.label for link in read_entry(folder.block).links] == ["Z", "a", "b", "é"]
    with pytest.raises(InputError, match="too large"):
        build_folder({f"{number:0200}": Link(link, "", 1) for number in range(1_200)}, 1)


def file_node(parts: list[tuple[Name, int]], *, filesize: int | None = None, data: bytes = b"") -> bytes:
    """Write a part of a file that says of its links what it likes."""
    said = sum(size for _, size in parts) + len(data) if filesize is None else filesize
    body = field_number(1, Kind.FILE) + (field_bytes(2, data) if data else b"") + field_number(3, said)
    body += b"".join(field_number(4, size) for _, size in parts)
    return encode_node(Node(tuple(Link(name, "", size) for name, size in parts), body))


def stored(*made: bytes) -> Blocks:
    """Blocks by hash."""
    return {hashlib.sha256(block).digest(): block for block in made}


def test_sizes_that_lie_are_refused() -> None:
    leaf = b"four"
    name = name_of(leaf, Codec.RAW)
    for parts, filesize in (([(name, 5)], None), ([(name, 3)], None), ([(name, 4)], 5)):
        root = file_node(parts, filesize=filesize)
        with pytest.raises((InputError, TrustError)):
            read(name_of(root, Codec.DAG_PB), stored(leaf, root))
    with pytest.raises(InputError, match="links"):
        read_entry(encode_node(Node((Link(name, "", 4),), field_number(1, Kind.FILE) + field_number(3, 0))))


def test_parts_of_no_length_are_never_visited() -> None:
    missing, leaf = name_of(b"missing", Codec.RAW), b"x"
    root = file_node([(missing, 0)] * 5_000 + [(name_of(leaf, Codec.RAW), 1)] + [(missing, 0)])
    assert read(name_of(root, Codec.DAG_PB), stored(leaf, root)) == (b"x", 2)


def test_depth_and_width_and_length_are_bounded() -> None:
    block, name = b"x", name_of(b"x", Codec.RAW)
    blocks = stored(block)
    for _ in range(MAX_DEPTH + 1):
        block = file_node([(name, 1)])
        name = name_of(block, Codec.DAG_PB)
        blocks |= stored(block)
    with pytest.raises(InputError, match="deep"):
        read(name, blocks)
    with pytest.raises(InputError, match="more than are read"):
        read_entry(file_node([(name, 1)] * (MAX_LINKS + 1)))
    with pytest.raises(InputError, match="more than are read"):
        read_entry(file_node([(name, 1 << 61)] * 3))
    with pytest.raises(InputError, match="too long"):
        decode_node(bytes((2 << 20) + 1))


def test_a_folder_is_no_file_and_a_shard_is_not_read() -> None:
    folder = build_folder({}, 1)
    with pytest.raises(InputError, match="is a folder"):
        read(folder.name, {folder.name.digest: folder.block})
    for kind in (Kind.SHARD, Kind.SYMLINK, Kind.METADATA):
        with pytest.raises(InputError, match=kind.name.lower()):
            read_entry(encode_node(Node((), field_number(1, kind))))


@pytest.mark.parametrize(
    "message",
    ["0a", "0a05ff", "ff" * 11, "0d00000000", "0a000a00", "1a00", "12030a0100", "12020801", "12051203c32800", "0affffffffffffffffff01"],
)
def test_blocks_that_are_no_nodes_are_refused(message: str) -> None:
    with pytest.raises(InputError):
        decode_node(bytes.fromhex(message))


def test_numbers_of_variable_length() -> None:
    for number, spelling in ((0, "00"), (127, "7f"), (128, "8001"), (CHUNK_BYTES, "808010"), ((1 << 64) - 1, "ff" * 9 + "01")):
        assert varint(number).hex() == spelling
        assert read_varint(bytes.fromhex(spelling), 0) == (number, len(spelling) // 2)
