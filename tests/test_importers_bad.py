"""Bad input: each is refused with a text that helps, and the catalogue stays as it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pxresearch.errors import (
    AmbiguousInput,
    CatalogError,
    DataError,
    OffGridPrice,
    UnknownName,
    UsageError,
)
from pxresearch.importers import import_file
from pxresearch.tickdata import load

HEAD = "timestamp_utc,price,size\n"
GOOD = HEAD + "".join(f"2013-09-03 14:00:0{i},1640.{25 * (i % 4):02d},2\n" for i in range(8))
BARS = "timestamp_utc,open,high,low,close,volume\n"


def digest(root: Path) -> dict[str, str]:
    """Path and hash of every file below a folder."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """A catalogue that holds a few trades."""
    path = tmp_path / "good.csv"
    path.write_text(GOOD)
    import_file(path, tmp_path / "cat", contract="ESU13")
    return tmp_path / "cat"


def late(rows: str) -> bytes:
    return (HEAD + rows).encode()


CASES: dict[str, tuple[bytes, dict[str, object], type[Exception], str]] = {
    "empty": (b"", {}, DataError, "is empty"),
    "heading only": (HEAD.encode(), {}, DataError, "heading and no rows"),
    "garbage": (bytes(range(256)) * 9, {}, DataError, "no known format"),
    "broken zip": (b"PK\x03\x04 not a zip", {}, DataError, "cut short or damaged"),
    "broken gzip": (gzip.compress(GOOD.encode())[:60], {}, DataError, "cut short or damaged"),
    "broken json": (b'{"bars": [', {}, DataError, "not whole JSON"),
    "broken parquet": (b"PAR1" + b"x" * 90, {}, DataError, "cannot be read as a table"),
    "depth": (b"SCDD" + b"\0" * 90, {}, DataError, "market depth"),
    "empty scid": (
        b"SCID" + b"\x38\0\0\0\x28\0\0\0" + b"\0" * 44, {}, DataError, "no whole record"),
    "unknown product": (GOOD.encode(), {"contract": "QQU13"}, UnknownName, "unknown product 'QQ'"),
    "no contract": (GOOD.encode(), {"contract": None}, AmbiguousInput, "--contract ESU13"),
    "one-digit year": (GOOD.encode(), {"contract": "ESU3"}, AmbiguousInput, "one-digit year"),
    "zone name": (GOOD.encode(), {"tz": "Chicago"}, UsageError, "unknown time zone 'Chicago'"),
    "no zone": (
        b"DateTime,Price,Volume\n2013-09-03 14:00:00,1640,1\n", {}, AmbiguousInput, "--tz UTC"),
    "skipped hour": (
        b"DateTime,Price,Volume\n2013-03-10 02:30:00,1540,1\n",
        {"tz": "America/Chicago", "contract": "ESH13"}, DataError, "the file's clock is not"),
    "repeated hour": (
        b"DateTime,Price,Volume\n2013-11-03 01:30:00,1740,1\n",
        {"tz": "America/Chicago", "contract": "ESZ13"}, AmbiguousInput, "comes twice"),
    "no columns": (b"a,b,c\n1,2,3\n", {}, AmbiguousInput, "--columns ts=NAME"),
    "no prices": (
        b"timestamp_utc,b\n2013-09-03 14:00:00,2\n", {}, AmbiguousInput, "--columns price=NAME"),
    "wrong column": (GOOD.encode(), {"columns": {"price": "Last"}}, UsageError, "no column 'Last'"),
    "kind": (GOOD.encode(), {"kind": "quotes"}, UsageError, "no columns for quotes"),
    "kind name": (GOOD.encode(), {"kind": "ticks"}, UsageError, "allowed are"),
    "stamp name": (GOOD.encode(), {"stamp": "close"}, UsageError, "'start' or 'end'"),
    "off grid": (
        late("2013-09-03 14:00:00,1640.25,1\n2013-09-03 14:00:01,1640.30,1\n"), {},
        OffGridPrice,
        r"1 of 2 values of px are not whole ticks of 0\.25 \(ES\); the first: 1640\.3"),
    "coarser tick": (GOOD.encode(), {"tick": 0.5}, OffGridPrice, "4 of 8"),
    "nan": (late("2013-09-03 14:00:00,NaN,1\n"), {}, DataError, "row 0 .* not a price"),
    "missing price": (
        late("2013-09-03 14:00:00,1640,1\n2013-09-03 14:00:01,,1\n"), {}, DataError,
        "px is missing in row 1"),
    "word for a price": (
        late("2013-09-03 14:00:00,1640,1\n2013-09-03 14:00:01,n/a,1\n"), {}, DataError,
        "'n/a' is no number"),
    "huge price": (late("2013-09-03 14:00:00,1e12,1\n"), {}, DataError, "too far off"),
    "broken size": (late("2013-09-03 14:00:00,1640,1.5\n"), {}, DataError, "not a whole number"),
    "negative size": (late("2013-09-03 14:00:00,1640,-1\n"), {}, DataError, "below zero"),
    "unreadable time": (
        late("2013-09-03 14:00:00,1640,1\nnever,1640,1\n"), {}, DataError,
        "time in row 1 .* cannot be read"),
    "backward": (
        late("2013-09-03 14:00:05,1640,1\n2013-09-03 14:00:04,1640,1\n"), {}, DataError,
        r"backward at 1 rows, first at row 1 .* --resort-ms 1000"),
    "backward too far": (
        late("2013-09-03 14:00:05,1640,1\n2013-09-03 14:00:04,1640,1\n"), {"resort_ms": 10},
        DataError, "1000 ms late, more than the 10 ms"),
    "after the month": (
        late("2013-11-03 14:00:05,1640,1\n"), {}, AmbiguousInput, "a continuous series"),
    "two symbols": (
        b"timestamp_utc,price,size,symbol\n2013-09-03 14:00:00,1640,1,ESU3\n"
        b"2013-09-03 14:00:00,1640,1,ESZ3\n", {}, AmbiguousInput, "several instruments"),
    "no stamp": (
        (BARS + "2013-09-03 14:00:00,1,1,1,1,1\n2013-09-03 14:01:00,1,1,1,1,1\n").encode(), {},
        AmbiguousInput, "--stamp start or --stamp end"),
    "one bar": (
        (BARS + "2013-09-03 14:00:00,1,1,1,1,1\n").encode(), {"stamp": "end"}, AmbiguousInput,
        "length of its bars"),
    "odd bars": (
        (BARS + "2013-09-03 14:00:00,1,1,1,1,1\n2013-09-03 14:00:07,1,1,1,1,1\n").encode(),
        {"stamp": "end"}, DataError, "no length of a time bar"),
    "bars upside down": (
        (BARS + "2013-09-03 14:00:00,1,1,2,1,1\n2013-09-03 14:01:00,1,1,1,1,1\n").encode(),
        {"stamp": "end"}, DataError, "contradict themselves"),
    "bars twice": (
        (BARS + "2013-09-03 14:00:00,1,1,1,1,1\n2013-09-03 14:00:00,1,1,1,1,1\n"
                "2013-09-03 14:01:00,1,1,1,1,1\n").encode(),
        {"stamp": "end"}, DataError, "two bars open at"),
    "nameless ninja": (
        b"20130903 140000;1640;1\n", {"contract": None}, AmbiguousInput, "--contract"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused(catalog: Path, tmp_path: Path, case: str) -> None:
    data, options, error, text = CASES[case]
    before = digest(catalog)
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    with pytest.raises(error, match=text):
        import_file(path, catalog, **{"contract": "ESU13", **options})  # type: ignore[arg-type]
    assert digest(catalog) == before
    assert not list(catalog.glob(".import-*"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file: .*nowhere\.csv"):
        import_file(tmp_path / "nowhere.csv", tmp_path / "cat")


def test_a_bounded_resort_is_stable_and_counted(tmp_path: Path) -> None:
    rows = ["05,1640.25", "04,1640.50", "05,1640.75", "06,1641.00"]
    path = tmp_path / "late.csv"
    path.write_text(HEAD + "".join(f"2013-09-03 14:00:{row},1\n" for row in rows))
    report = import_file(path, tmp_path / "cat", contract="ESU13", resort_ms=1000)
    assert report.resorted == 1
    prices = load("ESU13", catalog=tmp_path / "cat").frame()["price"].to_list()
    assert prices == [1640.5, 1640.25, 1640.75, 1641.0]


def test_an_overlap_is_refused_unless_replaced(catalog: Path, tmp_path: Path) -> None:
    """Another source of the same times must say that it replaces the first."""
    path = tmp_path / "other.csv"
    path.write_text(GOOD + "2013-09-03 14:00:09,1650,1\n")
    before = digest(catalog)
    with pytest.raises(CatalogError, match=r"good\.csv, already imported.*--replace"):
        import_file(path, catalog, contract="ESU13")
    assert digest(catalog) == before
    report = import_file(path, catalog, contract="ESU13", replace=True)
    assert report.warnings == ("replaced 8 rows of good.csv, session 2013-09-03",)
    assert load("ESU13", catalog=catalog).rows == {"trades": 9}


def test_rows_outside_the_session_are_flagged(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    path.write_text(HEAD + "2026-09-15 20:59:00,6640,1\n2026-09-15 21:30:00,6640,1\n")
    report = import_file(path, tmp_path / "cat", contract="ESZ26")
    assert report.series[0].outside == 1
    flags = load("ESZ26", catalog=tmp_path / "cat").scan("trades").collect()["flags"]
    assert flags.to_list() == [0, 32]


def test_progress_is_told(tmp_path: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_text(GOOD)
    seen: list[tuple[str, int, int]] = []
    import_file(path, tmp_path / "cat", contract="ESU13", progress=lambda *a: seen.append(a))
    assert [s for s, _, _ in seen] == ["read", "check", "write", "write"]
    assert seen[-1][1] == seen[-1][2]


def test_a_report_is_plain_and_printable(tmp_path: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_text(GOOD)
    report = import_file(path, tmp_path / "cat", contract="ESU13")
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["series"][0]["sessions"] == ["2013-09-03"]
    assert "ESU13 trades: 8 rows" in str(report)


def test_databento_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "databento", None)
    path = tmp_path / "x.dbn"
    path.write_bytes(b"DBN\x03" + b"\0" * 200)
    with pytest.raises(DataError, match=r"pip install pxresearch\[databento\]"):
        import_file(path, tmp_path / "cat")
    monkeypatch.undo()
    with pytest.raises(DataError, match="cut short"):
        import_file(path, tmp_path / "cat")


def test_one_contract_under_two_ids_is_one_series() -> None:
    """Databento may give a contract another id on another day."""
    from pxresearch.importers.base import Options
    from pxresearch.importers.dbn import parse_records

    kind = [("instrument_id", "u4"), ("ts_event", "u8"), ("ts_recv", "u8"), ("price", "i8"),
            ("size", "u4"), ("action", "S1"), ("side", "S1"), ("flags", "u1")]  # fmt: skip
    start = 1_378_217_000_000_000_000
    rows = [
        (1 + i // 2, start + i * 86_400 * 10**9, start + i * 86_400 * 10**9, 1640 * 10**9, 1, b"T",
         b"BN"[i % 2 : i % 2 + 1], 128)
        for i in range(4)
    ]  # fmt: skip
    names = [
        (1, date(2013, 9, 3), date(2013, 9, 5), "ESU3"),
        (2, date(2013, 9, 5), date(2013, 9, 9), "ESU3"),
    ]
    parsed = parse_records(np.array(rows, dtype=kind), "trades", names, Options())
    (piece,) = parsed.pieces
    assert piece.contract.code == "ESU13"
    assert piece.frame["seq"].to_list() == [1, 3, 5, 7]
    assert piece.frame["side"].to_list() == [1, 0, 1, 0]


def test_lean_tick_quotes(tmp_path: Path) -> None:
    """Columns of Lean's tick quotes; an empty side is empty fields, not a price of zero."""
    rows = "100,1640.25,3,1640.5,4,cme,0\n200,,0,1640.5,4,cme,1\n"
    with zipfile.ZipFile(tmp_path / "20130903_quote.zip", "w") as box:
        box.writestr("20130903_es_tick_quote_201309.csv", rows)
    report = import_file(tmp_path / "20130903_quote.zip", tmp_path / "cat")
    assert (report.stamp, report.series[0].one_sided) == ("none", 1)
    frame = load("ESU13", catalog=tmp_path / "cat").scan("quotes").collect()
    assert frame["bid_px"].to_list() == [6561, None]
    assert frame["flags"].to_list() == [0, 64]
