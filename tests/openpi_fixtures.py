"""Values of openpi's own test of its wire format (`msgpack_numpy_test.py` of openpi-client 0.1.2).

The bytes that openpi makes of them are in `openpi_recorded.json`, made and checked by
`tests/prove/test_openpi.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

RECORDED = Path(__file__).with_name("openpi_recorded.json")
VALUES: dict[str, Any] = {
    "int": 1,
    "float": 1.0,
    "text": "hello",
    "boolean scalar": np.bool_(True),
    "int scalar": np.array([1, 2, 3])[0],
    "text scalar": np.str_("asdf"),
    "list": [1, 2, 3],
    "dict": {"key": "value"},
    "nested dict": {"key": [1, 2, 3]},
    "0-d": np.array(1.0),
    "1-d": np.array([1, 2, 3], dtype=np.int32),
    "texts": np.array(["asdf", "qwer"]),
    "booleans": np.array([True, False]),
    "2-d": np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32),
    "3-d": np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=np.int16),
    "special": np.array([np.nan, np.inf, -np.inf]),
    "nested arrays": {"arr": np.array([1, 2, 3]), "nested": {"arr": np.array([4, 5, 6])}},
    "list of arrays": [np.array([1, 2]), np.array([3, 4])],
    "zeros": np.zeros((3, 4, 5), dtype=np.float32),
    "ones": np.ones((2, 3), dtype=np.float64),
}


def check_equal(expected: Any, actual: Any) -> None:
    """Same structure, types, shapes and numbers."""
    if isinstance(expected, dict):
        assert set(expected) == set(actual)
        for key, value in expected.items():
            check_equal(value, actual[key])
    elif isinstance(expected, list):
        assert len(expected) == len(actual)
        for one, other in zip(expected, actual, strict=True):
            check_equal(one, other)
    elif isinstance(expected, np.ndarray):
        assert (expected.shape, expected.dtype) == (actual.shape, actual.dtype)
        np.testing.assert_array_equal(actual, expected)
    else:
        assert actual == expected
        assert isinstance(actual, type(expected)) or isinstance(expected, np.str_)
