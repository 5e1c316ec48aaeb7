"""Rotations in five formats, batched over any leading dimensions, computed in C++.

| format            | shape       | meaning                                                                  |
|-------------------|-------------|--------------------------------------------------------------------------|
| `matrix`          | (..., 3, 3) | rotates column vectors                                                   |
| `quaternion`      | (..., 4)    | x, y, z, w as scipy; any length > 0 is read, unit with w >= 0 is written |
| `euler`           | (..., 3)    | roll, pitch, yaw [rad] about the fixed axes x, y, z (scipy's 'xyz')      |
| `rotation_vector` | (..., 3)    | axis times angle [rad], angle in [0, pi]                                 |
| `rotation_6d`     | (..., 6)    | first column of the matrix, then the second (Zhou et al. 2019)           |

Within 1e-7 rad of gimbal lock (pitch = +-pi/2) the yaw is 0 and the roll carries the whole turn. Numbers that
are not finite, zero quaternions, zero or parallel 6D columns and matrices that are no rotation (off by more
than 1e-5) raise `ConfigError` naming the element.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vla_rt._core import convert_rotations

__all__ = [
    "Format",
    "convert",
    "euler_to_matrix",
    "euler_to_quaternion",
    "matrix_to_euler",
    "matrix_to_quaternion",
    "matrix_to_rotation_6d",
    "matrix_to_rotation_vector",
    "quaternion_to_euler",
    "quaternion_to_matrix",
    "quaternion_to_rotation_vector",
    "rotation_6d_to_matrix",
    "rotation_vector_to_matrix",
    "rotation_vector_to_quaternion",
]

Format = Literal["matrix", "quaternion", "euler", "rotation_vector", "rotation_6d"]


def convert(rotations: ArrayLike, source: Format, target: Format) -> NDArray[np.float64]:
    """Converts rotations from one format to another.

    Args:
        rotations: in the source's shape, any leading dimensions.
        source: format of `rotations`.
        target: format wanted; the same as `source` gives its canonical form.

    Raises:
        ConfigError: an unknown format, a wrong shape, or a number that makes no rotation.
    """
    result: NDArray[np.float64] = convert_rotations(rotations, source, target)
    return result


def euler_to_matrix(euler: ArrayLike) -> NDArray[np.float64]:
    """Roll, pitch, yaw (..., 3) [rad] to matrices (..., 3, 3)."""
    return convert(euler, "euler", "matrix")


def matrix_to_euler(matrix: ArrayLike) -> NDArray[np.float64]:
    """Matrices (..., 3, 3) to roll, pitch, yaw (..., 3) [rad]."""
    return convert(matrix, "matrix", "euler")


def euler_to_quaternion(euler: ArrayLike) -> NDArray[np.float64]:
    """Roll, pitch, yaw (..., 3) [rad] to quaternions xyzw (..., 4)."""
    return convert(euler, "euler", "quaternion")


def quaternion_to_euler(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Quaternions xyzw (..., 4) to roll, pitch, yaw (..., 3) [rad]."""
    return convert(quaternion, "quaternion", "euler")


def quaternion_to_matrix(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Quaternions xyzw (..., 4) to matrices (..., 3, 3)."""
    return convert(quaternion, "quaternion", "matrix")


def matrix_to_quaternion(matrix: ArrayLike) -> NDArray[np.float64]:
    """Matrices (..., 3, 3) to unit quaternions xyzw (..., 4) with w >= 0."""
    return convert(matrix, "matrix", "quaternion")


def rotation_vector_to_matrix(rotation_vector: ArrayLike) -> NDArray[np.float64]:
    """Axis times angle (..., 3) [rad] to matrices (..., 3, 3)."""
    return convert(rotation_vector, "rotation_vector", "matrix")


def matrix_to_rotation_vector(matrix: ArrayLike) -> NDArray[np.float64]:
    """Matrices (..., 3, 3) to axis times angle (..., 3) [rad]."""
    return convert(matrix, "matrix", "rotation_vector")


def rotation_vector_to_quaternion(rotation_vector: ArrayLike) -> NDArray[np.float64]:
    """Axis times angle (..., 3) [rad] to quaternions xyzw (..., 4)."""
    return convert(rotation_vector, "rotation_vector", "quaternion")


def quaternion_to_rotation_vector(quaternion: ArrayLike) -> NDArray[np.float64]:
    """Quaternions xyzw (..., 4) to axis times angle (..., 3) [rad]."""
    return convert(quaternion, "quaternion", "rotation_vector")


def rotation_6d_to_matrix(rotation_6d: ArrayLike) -> NDArray[np.float64]:
    """Two columns (..., 6) to matrices (..., 3, 3), by Gram-Schmidt."""
    return convert(rotation_6d, "rotation_6d", "matrix")


def matrix_to_rotation_6d(matrix: ArrayLike) -> NDArray[np.float64]:
    """Matrices (..., 3, 3) to their first two columns (..., 6)."""
    return convert(matrix, "matrix", "rotation_6d")
