from pathlib import Path

import pytest

from ingest.errors import Unreadable
from ingest.read import read as read_file
from ingest.read.csv_rows import read
from tests.readings import damaged, kinds, refusal, survives, told

TERMS = 'term,meaning,layer\nFSDP,"shards parameters,\ngradients and states",training\n\nKV cache,,serving\n'


def test_every_row_tells_its_columns_and_is_counted_without_the_header() -> None:
    document = read(Path("terms.csv"), TERMS.encode())

    assert told(document) == [
        ("row 1", "term: FSDP; meaning: shards parameters, gradients and states; layer: training"),
        ("row 2", "term: KV cache; layer: serving"),
    ]
    assert kinds(document) == ["text", "text"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "gpu;price\nH100;2,50\nA100;1,30\n"),
        ("a.csv", "gpu|price\nH100|2,50\nA100|1,30\n"),
        ("a.csv", "gpu\tprice\nH100\t2,50\nA100\t1,30\n"),
        ("a.csv", "sep=;\ngpu;price\nH100;2,50\nA100;1,30\n"),
        ("a.tsv", "gpu\tprice\nH100\t2,50\nA100\t1,30\n"),
        ("a.csv", '\ufeffgpu, price\r\nH100, "2,50"\r\nA100, "1,30"\r\n'),
    ],
)
def test_the_delimiter_is_told_from_the_rows(name: str, text: str) -> None:
    assert told(read(Path(name), text.encode())) == [
        ("row 1", "gpu: H100; price: 2,50"),
        ("row 2", "gpu: A100; price: 1,30"),
    ]


def test_without_a_header_columns_are_numbered() -> None:
    assert told(read(Path("a.csv"), b"H100,132\nA100,108\n")) == [
        ("row 1", "column 1: H100; column 2: 132"),
        ("row 2", "column 1: A100; column 2: 108"),
    ]


def test_a_row_longer_than_the_header_keeps_its_fields() -> None:
    assert told(read(Path("a.csv"), b"a,b\nx,y,z\n")) == [("row 1", "a: x; b: y; column 3: z")]


def test_rows_beyond_the_bound_are_named() -> None:
    document = read(Path("a.csv"), b"a,b\n" + b"x,y\n" * 50_003)

    assert len(document.blocks) == 50_000
    assert document.lost == ("rows 50001 to 50003: 50000 rows are the most that are read",)


def test_rows_of_very_many_columns_are_data_and_named() -> None:
    wide = ",".join(map(str, range(200_000)))
    document = read(Path("a.csv"), f"term,meaning\nFSDP,shards\n{wide}\n".encode())
    assert told(document) == [("row 1", "term: FSDP; meaning: shards")]
    assert document.lost == ("1 row has up to 200000 columns: 1000 columns are the most that are read",)
    with pytest.raises(Unreadable, match=r"^no text could be read of it; 2 rows have up to 200000 columns"):
        read_file(Path("a.csv"), f"{wide}\n{wide}\n".encode())


def test_a_huge_field_is_read() -> None:
    assert len(told(read(Path("a.csv"), b"a,b\n" + b"x" * 3_000_000 + b",y\n"))[0][1]) == 3_000_009


def test_a_line_without_an_end_is_named_and_the_other_rows_keep_their_numbers() -> None:
    endless = "the gradient of a shard " * 250_000
    document = read(Path("a.csv"), f"term,meaning\nFSDP,shards\n{endless}\nDDP,copies\n".encode())
    assert told(document) == [("row 1", "term: FSDP; meaning: shards"), ("row 3", "term: DDP; meaning: copies")]
    assert document.lost == ("row 2: its line has more than 5,000,000 characters: data, not notes",)
    with pytest.raises(Unreadable, match=r"^no text could be read of it; row 1: its line has more than 5,000,000"):
        read_file(Path("a.csv"), endless.encode())


def test_a_field_without_an_end_says_where_it_ends() -> None:
    with pytest.raises(Unreadable, match=r"^line 909,?092: a field of more than 10,000,000 .*; is its quote closed\?$"):
        read(Path("a.csv"), b'a,b\n"' + b"never,ends\n" * 1_000_000)


@pytest.mark.parametrize("text", [b"a,b\n", b"\xef\xbb\xbfterm;meaning", b"\n\na,b\n,\n \n"])
def test_a_header_alone_is_named_for_what_it_is(text: bytes) -> None:
    assert refusal(read_file, "a.csv", text) == ("empty", "the table has a header and no rows")


def test_a_table_of_nothing_at_all_has_no_header_either() -> None:
    assert refusal(read_file, "a.csv", b"\n,\n") == ("empty", "the file holds no text")


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    assert survives(read, "terms.csv", damaged(TERMS.encode() * 3, times=200, seed=12)) > 100
