"""Values as openpi's messages: MessagePack with arrays in maps of their own.

https://github.com/msgpack/msgpack/blob/master/spec.md; an array is
{b"__ndarray__": true, b"data": bytes in C order, b"dtype": numpy's text, b"shape": sizes}, a number of
numpy's {b"__npgeneric__": true, b"data": the number, b"dtype": numpy's text}.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from vla_rt.errors import ConfigError, error

MAX_DEPTH = 32
#: Kinds of dtypes that travel: bool, integers, floats, bytes, text, times.
KINDS = "biufSUmM"


def pack(message: Mapping[Any, Any]) -> bytes:
    """A message as openpi's `msgpack_numpy` writes it.

    Args:
        message: Texts or bytes as keys; as values None, bool, int, float, str, bytes, arrays and numbers of
            numpy, and lists, tuples and mappings of these.

    Raises:
        ConfigError: Something that cannot travel; the error names its place.
    """
    if not isinstance(message, Mapping):
        raise error(ConfigError, "message", type(message).__name__, "must be a mapping")
    parts: list[bytes] = []
    _write(message, parts, "message", 0)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes], where: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise error(ConfigError, where, "", f"is nested deeper than {MAX_DEPTH}")
    if value is None:
        parts.append(b"\xc0")
    elif isinstance(value, bool):
        parts.append(b"\xc3" if value else b"\xc2")
    elif isinstance(value, int):
        parts.append(_integer(value, where))
    elif isinstance(value, float):  # numpy's float64 too, as in msgpack
        parts.append(struct.pack(">Bd", 0xCB, value))
    elif isinstance(value, str):
        _write_text(value, parts, where)
    elif isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        parts += [_head(len(data), (), (0xC4, 0xC5, 0xC6), where), data]
    elif isinstance(value, Mapping):
        parts.append(_head(len(value), (0x80, 16), (0xDE, 0xDF), where))
        for key, item in value.items():
            if not isinstance(key, str | bytes):
                raise error(
                    ConfigError, f"{where}[{key!r}]", type(key).__name__, "must have text or bytes as key"
                )
            _write(key, parts, where, depth + 1)
            _write(item, parts, f"{where}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple):
        parts.append(_head(len(value), (0x90, 16), (0xDC, 0xDD), where))
        for i, item in enumerate(value):
            _write(item, parts, f"{where}[{i}]", depth + 1)
    elif isinstance(value, np.ndarray | np.generic):
        _write(_described(value, where), parts, where, depth)
    else:
        raise error(ConfigError, where, type(value).__name__, "cannot travel")


def _described(value: np.ndarray[Any, Any] | np.generic, where: str) -> dict[bytes, Any]:
    if value.dtype.kind not in KINDS:
        raise error(ConfigError, where, f"dtype {value.dtype}", "cannot travel")
    if isinstance(value, np.ndarray):
        shape = tuple(int(n) for n in value.shape)
        data = {b"__ndarray__": True, b"data": value.tobytes()}
        return {**data, b"dtype": value.dtype.str, b"shape": shape}
    return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}


def _write_text(value: str, parts: list[bytes], where: str) -> None:
    try:
        data = value.encode()
    except UnicodeEncodeError as cause:
        raise error(ConfigError, where, repr(value[:20]), "is no text that UTF-8 can hold") from cause
    parts += [_head(len(data), (0xA0, 32), (0xD9, 0xDA, 0xDB), where), data]


def _head(length: int, small: tuple[int, int] | tuple[()], wide: tuple[int, ...], where: str) -> bytes:
    """The shortest head of something of that length: inside the byte, or in 1, 2 or 4 bytes after it."""
    if small and length < small[1]:
        return bytes([small[0] | length])
    formats = (">BB", ">BH", ">BI")[3 - len(wide) :]
    for code, layout in zip(wide, formats, strict=True):
        if length < 1 << (8 * (struct.calcsize(layout) - 1)):
            return struct.pack(layout, code, length)
    raise error(ConfigError, where, f"{length} long", "must be shorter than 2^32")


def _integer(value: int, where: str) -> bytes:
    if 0 <= value < 0x80:
        return bytes([value])
    if -0x20 <= value < 0:
        return struct.pack("b", value)
    if value >= 0:
        for code, layout, bits in ((0xCC, ">BB", 8), (0xCD, ">BH", 16), (0xCE, ">BI", 32), (0xCF, ">BQ", 64)):
            if value < 1 << bits:
                return struct.pack(layout, code, value)
    else:
        for code, layout, bits in ((0xD0, ">Bb", 7), (0xD1, ">Bh", 15), (0xD2, ">Bi", 31), (0xD3, ">Bq", 63)):
            if value >= -(1 << bits):
                return struct.pack(layout, code, value)
    raise error(ConfigError, where, value, "must be in [-2^63, 2^64)")
