"""openpi's messages: its bytes are read and written, everything else is refused."""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vla_rt as vr
from openpi_fixtures import RECORDED, VALUES, check_equal
from vla_rt.integrations import openpi

#: An array as openpi's msgpack_numpy sends it, by the format's description.
ARRAY = (
    b"\x84"
    b"\xc4\x0b__ndarray__\xc3"
    b"\xc4\x04data\xc4\x08\x00\x00\x80\x3f\x00\x00\x00\x40"
    b"\xc4\x05dtype\xa3<f4"
    b"\xc4\x05shape\x92\x01\x02"
)
NUMBER = b"\x83\xc4\x0d__npgeneric__\xc3\xc4\x04data\x07\xc4\x05dtype\xa3<i8"


def test_bytes_are_those_of_openpi() -> None:
    message = {
        "a": np.array([[1.0, 2.0]], np.float32),
        "n": np.int64(7),
        "t": "pick",
        "none": None,
        "flags": [True, False],
    }
    expected = b"\x85\xa1a" + ARRAY + b"\xa1n" + NUMBER + b"\xa1t\xa4pick\xa4none\xc0\xa5flags\x92\xc3\xc2"
    assert openpi.pack(message) == expected
    back = openpi.unpack(expected)
    np.testing.assert_array_equal(back["a"], message["a"])
    assert back["a"].dtype == np.float32
    assert back["a"].flags.writeable
    assert back["n"] == 7
    assert isinstance(back["n"], np.int64)
    assert back["t"] == "pick"
    assert back["flags"] == [True, False]


@pytest.mark.parametrize("name", VALUES)
def test_openpis_own_fixtures_are_read_and_written(name: str) -> None:
    data = bytes.fromhex(json.loads(RECORDED.read_text())[name])
    check_equal(VALUES[name], openpi.unpack(data)["value"])
    assert openpi.pack({"value": VALUES[name]}) == data


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, b"\x00"), (127, b"\x7f"), (128, b"\xcc\x80"), (255, b"\xcc\xff"), (256, b"\xcd\x01\x00"),
        (65536, b"\xce\x00\x01\x00\x00"), (2**32, b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
        (2**64 - 1, b"\xcf" + b"\xff" * 8), (-1, b"\xff"), (-32, b"\xe0"), (-33, b"\xd0\xdf"),
        (-129, b"\xd1\xff\x7f"), (-32769, b"\xd2\xff\xff\x7f\xff"), (-(2**63), b"\xd3\x80" + b"\0" * 7),
        (1.5, b"\xcb\x3f\xf8" + b"\0" * 6), (np.float64(1.5), b"\xcb\x3f\xf8" + b"\0" * 6),
        ("a" * 31, b"\xbf" + b"a" * 31), ("a" * 32, b"\xd9\x20" + b"a" * 32), ("ü", b"\xa2\xc3\xbc"),
        ("a" * 256, b"\xda\x01\x00" + b"a" * 256), (b"\0" * 256, b"\xc5\x01\x00" + b"\0" * 256),
        ((1, 2), b"\x92\x01\x02"), ([0] * 16, b"\xdc\x00\x10" + b"\0" * 16),
        ({b"k": {}}, b"\x81\xc4\x01k\x80"),
    ],
)  # fmt: skip
def test_every_value_has_its_shortest_form(value: Any, data: bytes) -> None:
    assert openpi.pack({"v": value}) == b"\x81\xa1v" + data
    back = openpi.unpack(b"\x81\xa1v" + data)["v"]
    assert back == (list(value) if isinstance(value, tuple) else value)


def test_any_legal_width_and_order_is_read() -> None:
    wide = (
        b"\xdf\x00\x00\x00\x04"
        b"\xc6\x00\x00\x00\x05shape\xdd\x00\x00\x00\x02\xcf" + b"\0" * 7 + b"\x01\xd1\x00\x02"
        b"\xc5\x00\x05dtype\xdb\x00\x00\x00\x03>f4"
        b"\xc4\x0b__ndarray__\xc3"
        b"\xc4\x04data\xc5\x00\x08" + struct.pack(">ff", 1.0, 2.0)
    )
    back = openpi.unpack(b"\xde\x00\x01\xd9\x01a" + wide)["a"]
    assert back.dtype == np.dtype(">f4")
    np.testing.assert_array_equal(back, [[1.0, 2.0]])
    assert openpi.unpack(b"\x81\xa1f\xca" + struct.pack(">f", 0.5)) == {"f": 0.5}


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3), np.float32), np.array(2.5), np.arange(6).reshape(2, 3).T, np.array([True, False]),
        np.array(["pick", "é"]), np.array([b"ab"]), np.arange(3, dtype=">i2"), np.array([1.0], np.float16),
        np.array(["2026-01-01"], "datetime64[D]"),
    ],
    ids=lambda a: str(a.dtype),
)  # fmt: skip
def test_arrays_come_back(array: np.ndarray) -> None:
    back = openpi.unpack(openpi.pack({"a": array}))["a"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    np.testing.assert_array_equal(back, array)


_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
_values = st.recursive(
    _leaves,
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text() | st.binary(max_size=3), v, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _values, max_size=4))
@settings(max_examples=100, deadline=None)
def test_what_is_packed_is_unpacked(message: dict[str, Any]) -> None:
    assert openpi.unpack(openpi.pack(message)) == message


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda a, i, x: a[:i] + x + a[i + 1 :],
        st.just(b"\x81\xa1a" + ARRAY),
        st.integers(0, 60),
        st.binary(max_size=2),
    )
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_bytes_do_worse_than_a_format_error(data: bytes) -> None:
    with contextlib.suppress(vr.FormatError):
        assert isinstance(openpi.unpack(data), dict)


def altered(old: bytes, new: bytes) -> bytes:
    assert old in ARRAY
    return b"\x81\xa1a" + ARRAY.replace(old, new)


BAD = {
    "empty": (b"", "is cut"),
    "no map": (b"\x01", "must be a map"),
    "trailing": (b"\x80\x80", "goes on after"),
    "cut": (b"\x81\xa1a" + ARRAY[:-1], "is cut"),
    "long list": (b"\x81\xa1a\xdd\xff\xff\xff\xff", "is cut"),
    "long map": (b"\xdf\xff\xff\xff\xff", "is cut"),
    "long bytes": (b"\x81\xa1a\xc6\xff\xff\xff\xff", "is cut"),
    "deep": (b"\x81\xa1a" + b"\x91" * 40 + b"\x00", "deeper than"),
    "extension": (b"\x81\xa1a\xd4\x00\x00", "type 0xd4"),
    "unused": (b"\x81\xa1a\xc1", "type 0xc1"),
    "text": (b"\x81\xa1a\xa1\xff", "no UTF-8"),
    "key": (b"\x81\x01\x01", "text or bytes as key"),
    "twice": (b"\x82\xa1a\x01\xa1a\x02", "twice"),
    "object": (altered(b"\xa3<f4", b"\xa3|O8"), "dtype"),
    "void": (altered(b"\xa3<f4", b"\xa3|V4"), "dtype"),
    "complex": (altered(b"\xa3<f4", b"\xa3<c8"), "dtype"),
    "no dtype": (altered(b"\xa3<f4", b"\xa3abc"), "dtype"),
    "wide shape": (altered(b"\x92\x01\x02", b"\x92\x01\x03"), "12 bytes"),
    "negative": (altered(b"\x92\x01\x02", b"\x92\xff\xfe"), "sizes >= 0"),
    "huge shape": (altered(b"\x92\x01\x02", b"\x92\xcf" + b"\xff" * 8 + b"\x00"), "0 bytes"),
    "shape of text": (altered(b"\x92\x01\x02", b"\xa1x"), "sizes >= 0"),
    "shape of flags": (altered(b"\x92\x01\x02", b"\x92\xc3\x02"), "sizes >= 0"),
    "data": (
        altered(b"\xc4\x04data\xc4\x08\x00\x00\x80\x3f\x00\x00\x00\x40", b"\xc4\x04data\x01"),
        "8 bytes",
    ),
    "no data": (altered(b"\xc4\x04data", b"\xc4\x04dada"), "must have the keys"),
    "number": (b"\x81\xa1a" + NUMBER.replace(b"\x07\xc4", b"\xa1x\xc4"), "no int64"),
    "number too large": (
        b"\x81\xa1a" + NUMBER.replace(b"<i8", b"|i1").replace(b"\x07\xc4", b"\xcc\xff\xc4"),
        "no int8",
    ),
    "number of list": (b"\x81\xa1a" + NUMBER.replace(b"\x07\xc4", b"\x91\x07\xc4"), "one number"),
}


@pytest.mark.parametrize("name", BAD)
def test_hostile_messages_are_refused(name: str) -> None:
    data, text = BAD[name]
    with pytest.raises(vr.FormatError, match=text):
        openpi.unpack(data)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ([1], "must be a mapping"),
        ({"a": object()}, r"message\['a'\] = object: cannot travel"),
        ({"a": np.array([object()])}, "dtype object"),
        ({"a": np.zeros(2, np.complex64)}, "dtype complex64"),
        ({"a": {1: 2}}, r"message\['a'\]\[1\] = int: must have text or bytes"),
        ({"a": 2**64}, "2\\^64"),
        ({"a": "\ud800"}, "UTF-8"),
    ],
)
def test_what_cannot_travel_is_named(message: Any, text: str) -> None:
    with pytest.raises(vr.ConfigError, match=text):
        openpi.pack(message)
    deep: Any = {}
    for _ in range(40):
        deep = {"a": deep}
    with pytest.raises(vr.ConfigError, match="deeper"):
        openpi.pack(deep)
