"""Names, nodes and trees of blocks from anybody: read or refused, and what is written comes back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nights import examples
from voisin.errors import InputError, TrustError
from voisin.protocol.dagpb import Link, Node, decode_node, encode_node, field_bytes, field_number
from voisin.protocol.ipld import Codec, Name, name_from_bytes, name_of, parse_name
from voisin.protocol.unixfs import FileTree, Layout, read_entry
from voisin.protocol.walk import FileWalk

names = st.builds(Name, st.binary(min_size=32, max_size=32), st.sampled_from(Codec)) | st.builds(
    Name, st.binary(min_size=32, max_size=32), st.just(Codec.DAG_PB), st.just(0)
)
links = st.builds(Link, names, st.text(max_size=10), st.integers(0, (1 << 64) - 1))
numbers = st.builds(field_number, st.integers(1, 20), st.integers(0, (1 << 64) - 1))
strings = st.builds(field_bytes, st.integers(1, 20), st.binary(max_size=50))
messages = st.lists(numbers | strings, max_size=6).map(b"".join)


@given(names)
def test_names_come_back(name: Name) -> None:
    assert parse_name(str(name)) == name == name_from_bytes(name.raw)


@given(st.text(max_size=80) | st.text(st.sampled_from("bzkfQm0123456789abcdefghABC"), max_size=130))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        name = parse_name(text)
    except InputError:
        return
    assert parse_name(str(name)) == name


@given(st.builds(Node, st.lists(links, max_size=4).map(tuple), st.binary(max_size=40)))
def test_nodes_come_back(node: Node) -> None:
    assert decode_node(encode_node(node)) == node


@settings(max_examples=examples(50))
@given(st.binary(max_size=80) | messages | messages.map(lambda data: field_bytes(1, data)))
def test_any_block_is_a_part_of_a_file_or_refused(block: bytes) -> None:
    try:
        entry = read_entry(block)
    except InputError:
        return
    assert entry.size >= len(entry.data)


@given(st.data(), st.binary(max_size=3_000), st.integers(1, 16), st.sampled_from([(0, False), (0, True), (1, False), (1, True)]))
def test_any_range_of_any_file_comes_back(data: st.DataObject, content: bytes, chunk: int, kind: tuple[int, bool]) -> None:
    tree, blocks = FileTree(Layout(*kind, chunk)), {}
    for start in range(0, len(content), chunk):
        blocks.update({built.name.digest: built.block for built in tree.add(content[start : start + chunk])})
    blocks.update({built.name.digest: built.block for built in tree.finish()})
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.none() | st.integers(start, len(content)))
    walk, got = FileWalk(tree.root.name, start, stop), b""
    while (wanted := walk.wanted()) is not None:
        got += walk.feed(blocks[wanted.name.digest])
    assert got == content[start:stop]


@given(st.recursive(st.binary(max_size=5), lambda below: st.lists(below, max_size=4), max_leaves=12), st.data())
def test_walks_through_trees_that_lie_end(shape: object, data: st.DataObject) -> None:
    blocks: dict[bytes, bytes] = {}

    def build(part: object) -> Name:
        if isinstance(part, bytes):
            block, name = part, name_of(part, Codec.RAW)
        else:
            assert isinstance(part, list)
            below = [(build(child), data.draw(st.integers(0, 6))) for child in part]
            said = sum(size for _, size in below)
            body = field_number(1, 2) + field_number(3, said) + b"".join(field_number(4, size) for _, size in below)
            block = encode_node(Node(tuple(Link(name, "", size) for name, size in below), body))
            name = name_of(block, Codec.DAG_PB)
        blocks[name.digest] = block
        return name

    root = build(shape)
    walk, got = FileWalk(root), 0
    try:
        while (wanted := walk.wanted()) is not None:
            got += len(walk.feed(blocks[wanted.name.digest]))
    except TrustError:
        return
    assert got == (len(blocks[root.digest]) if root.codec is Codec.RAW else read_entry(blocks[root.digest]).size)
