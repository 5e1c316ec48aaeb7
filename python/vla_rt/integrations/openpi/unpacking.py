"""openpi's messages as values, whoever sent them: every length, type and size is checked before use."""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np

from vla_rt.errors import FormatError, error
from vla_rt.integrations.openpi.packing import MAX_DEPTH

_DTYPE = re.compile(
    r"[<>|=]?(\?|b1|[iu][1248]|f(2|4|8|16)|[SU][1-9]\d{0,6}|[mM]8(\[\d{0,6}[a-zA-Z]{1,2}\])?)"
)
_ARRAY = {b"__ndarray__", b"data", b"dtype", b"shape"}
_NUMBER = {b"__npgeneric__", b"data", b"dtype"}
#: First byte: layout of a number.
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
#: First byte: (what follows, layout of its length).
_LENGTHS = {
    0xC4: ("bytes", ">B"), 0xC5: ("bytes", ">H"), 0xC6: ("bytes", ">I"),
    0xD9: ("text", ">B"), 0xDA: ("text", ">H"), 0xDB: ("text", ">I"),
    0xDC: ("list", ">H"), 0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip


def unpack(data: bytes) -> dict[Any, Any]:
    """The message that `pack`, or openpi, wrote; arrays are copies.

    Raises:
        FormatError: It is cut, goes on after its end, is nested too deeply, or holds what openpi does not
            send: extension types, objects, arrays whose bytes do not fit their shape. It names the byte.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise error(FormatError, "message", type(data).__name__, "must be bytes")
    reader = _Reader(bytes(data))
    message = reader.value(0)
    if reader.at != len(reader.data):
        raise reader.wrong("goes on after the message")
    if not isinstance(message, dict):
        raise error(FormatError, "message", type(message).__name__, "must be a map")
    return message


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def wrong(self, bound: str) -> FormatError:
        return error(FormatError, f"message, byte {self.at}", "", bound)

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise self.wrong(f"is cut: {count} bytes are to follow, {len(self.data) - self.at} do")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.wrong(f"is nested deeper than {MAX_DEPTH}")
        code = self.take(1)[0]
        if code < 0x80:
            return code
        if code >= 0xE0:
            return code - 0x100
        if code < 0x90:
            return self.map(code & 0x0F, depth)
        if code < 0xA0:
            return self.list(code & 0x0F, depth)
        if code < 0xC0:
            return self.text(code & 0x1F)
        if code in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[code]
        if code in _NUMBERS:
            return self.number(_NUMBERS[code])
        if code not in _LENGTHS:
            raise self.wrong(f"has type 0x{code:02x}, which openpi does not send")
        what, layout = _LENGTHS[code]
        length = self.number(layout)
        if what == "bytes":
            return self.take(length)
        if what == "text":
            return self.text(length)
        return self.list(length, depth) if what == "list" else self.map(length, depth)

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError as cause:
            raise self.wrong("is no UTF-8") from cause

    def list(self, length: int, depth: int) -> list[Any]:
        self.require_room(length)
        return [self.value(depth + 1) for _ in range(length)]

    def map(self, length: int, depth: int) -> Any:
        self.require_room(2 * length)
        found: dict[Any, Any] = {}
        for _ in range(length):
            key = self.value(depth + 1)
            if not isinstance(key, str | bytes):
                raise self.wrong("must have text or bytes as key")
            if key in found:
                raise self.wrong(f"has the key {key!r} twice")
            found[key] = self.value(depth + 1)
        if b"__ndarray__" in found:
            return self.array(found)
        if b"__npgeneric__" in found:
            return self.generic(found)
        return found

    def require_room(self, values: int) -> None:
        """Every value takes a byte at least."""
        if values > len(self.data) - self.at:
            raise self.wrong(f"is cut: {values} values are to follow")

    def dtype(self, found: dict[Any, Any], keys: set[bytes]) -> np.dtype[Any]:
        if set(found) != keys:
            raise self.wrong(f"must have the keys {sorted(keys)}")
        text = found[b"dtype"]
        if not isinstance(text, str) or _DTYPE.fullmatch(text) is None:
            raise self.wrong(f"has dtype {text!r}, which openpi does not send")
        try:
            return np.dtype(text)
        except (TypeError, ValueError) as cause:
            raise self.wrong(f"has dtype {text!r}, which is none") from cause

    def array(self, found: dict[Any, Any]) -> np.ndarray[Any, Any]:
        dtype = self.dtype(found, _ARRAY)
        shape, data = found[b"shape"], found[b"data"]
        sizes = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not sizes or len(shape) > 32:
            raise self.wrong("must have at most 32 sizes >= 0 as shape")
        wanted = math.prod(shape) * dtype.itemsize
        if not isinstance(data, bytes) or len(data) != wanted:
            raise self.wrong(f"must have {wanted} bytes for an array {tuple(shape)} of {dtype}")
        try:
            return np.frombuffer(data, dtype).reshape(shape).copy()
        except ValueError as cause:
            raise self.wrong(f"cannot have the shape {tuple(shape)}") from cause

    def generic(self, found: dict[Any, Any]) -> np.generic:
        dtype = self.dtype(found, _NUMBER)
        value = found[b"data"]
        if not isinstance(value, bool | int | float | str | bytes):
            raise self.wrong("must have one number as data")
        try:
            made: np.generic = np.full((1,), value, dtype)[0]
        except (TypeError, ValueError, OverflowError) as cause:
            raise self.wrong(f"has data that is no {dtype}") from cause
        return made
