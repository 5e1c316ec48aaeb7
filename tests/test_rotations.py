"""Rotations against scipy, and the places where formulas break."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import vla_rt as vr

FORMATS = ["matrix", "quaternion", "euler", "rotation_vector", "rotation_6d"]
SIZE = {"quaternion": 4, "euler": 3, "rotation_vector": 3, "rotation_6d": 6}


def scipy_write(rotation, form):
    if form == "matrix":
        return rotation.as_matrix()
    if form == "quaternion":
        return rotation.as_quat(canonical=True)
    if form == "euler":
        return rotation.as_euler("xyz")
    if form == "rotation_vector":
        return rotation.as_rotvec()
    return np.swapaxes(rotation.as_matrix()[..., :2], -1, -2).reshape(*rotation.as_matrix().shape[:-2], 6)


def scipy_read(values, form):
    if form == "matrix":
        return Rotation.from_matrix(values)
    if form == "quaternion":
        return Rotation.from_quat(values)
    if form == "euler":
        return Rotation.from_euler("xyz", values)
    if form == "rotation_vector":
        return Rotation.from_rotvec(values)
    x, y = np.split(np.asarray(values), 2, axis=-1)
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=-1))


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_equals_scipy(source, target):
    rotation = Rotation.random(500, rng=np.random.default_rng(1))
    written = vr.rotations.convert(scipy_write(rotation, source), source, target)
    np.testing.assert_allclose(written, scipy_write(rotation, target), atol=2e-14)


axis_angle = st.tuples(
    st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1),
    st.one_of(
        st.floats(-np.pi, np.pi),
        st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 1e-4, np.pi / 2, np.pi - 1e-9, np.pi]),
    ),
)


@given(axis_angle, st.sampled_from(FORMATS))
def test_every_format_holds_the_same_rotation(drawn, form):
    axis, angle = drawn
    vector = np.array(axis) / np.linalg.norm(axis) * angle
    written = vr.rotations.convert(vector, "rotation_vector", form)
    error = (Rotation.from_rotvec(vector) * scipy_read(written, form).inv()).magnitude()
    locked = form == "euler" and abs(written[1]) > np.pi / 2 - 2e-7  # there the yaw is given up
    bound = 2e-7 if locked else 1e-13
    assert error < bound
    again = vr.rotations.convert(written, form, "rotation_vector")
    assert (Rotation.from_rotvec(vector) * Rotation.from_rotvec(again).inv()).magnitude() < bound
    assert np.linalg.norm(again) <= np.pi + 1e-15


@given(
    st.floats(-np.pi, np.pi),
    st.floats(-np.pi, np.pi),
    st.one_of(st.just(0.0), st.floats(-1e-3, 1e-3), st.sampled_from([1e-7, -1e-7, 1e-9, 1e-15])),
    st.sampled_from([-1.0, 1.0]),
)
def test_gimbal_lock_keeps_the_rotation(roll, yaw, off, sign):
    euler = np.array([roll, sign * np.pi / 2 + off, yaw])
    written = vr.rotations.quaternion_to_euler(vr.rotations.euler_to_quaternion(euler))
    assert np.all(np.abs(written) <= np.pi)
    assert abs(written[1]) <= np.pi / 2 + 1e-15
    error = (Rotation.from_euler("xyz", euler) * Rotation.from_euler("xyz", written).inv()).magnitude()
    # At the lock itself the yaw is given up, and with it at most the distance to the lock.
    assert error < 3e-7
    if abs(off) > 2e-7:
        assert error < 1e-13
    elif abs(off) < 0.9e-7:
        assert written[2] == 0.0


def test_gimbal_lock_equals_scipy():
    for pitch in (np.pi / 2, -np.pi / 2):
        rotation = Rotation.from_euler("xyz", [0.3, pitch, 0.5])
        with pytest.warns(UserWarning, match="Gimbal lock"):
            expected = rotation.as_euler("xyz")
        np.testing.assert_allclose(vr.rotations.matrix_to_euler(rotation.as_matrix()), expected, atol=1e-7)


def test_half_turns_have_one_sign():
    for axis in np.eye(3):
        written = vr.rotations.convert(-np.pi * axis, "rotation_vector", "quaternion")
        exact = vr.rotations.convert(np.array([*-axis, 0.0]), "quaternion", "quaternion")
        np.testing.assert_array_equal(exact, [*axis, 0.0])
        np.testing.assert_allclose(np.abs(written), [*axis, 0.0], atol=1e-15)


def test_small_angles_keep_their_digits():
    vector = np.array([1e-9, -2e-9, 3e-9])
    np.testing.assert_allclose(
        vr.rotations.quaternion_to_rotation_vector(vr.rotations.rotation_vector_to_quaternion(vector)),
        vector,
        rtol=1e-15,
    )
    np.testing.assert_allclose(
        vr.rotations.matrix_to_rotation_vector(vr.rotations.rotation_vector_to_matrix(vector)),
        vector,
        rtol=1e-6,
    )


def test_6d_is_made_orthonormal_and_long_quaternions_unit():
    six = np.array([2.0, 0.0, 0.0, 5.0, 3.0, 0.0])
    np.testing.assert_allclose(vr.rotations.rotation_6d_to_matrix(six), np.eye(3), atol=1e-15)
    np.testing.assert_allclose(
        vr.rotations.quaternion_to_matrix([0.0, 0.0, 0.0, 1e-200]), np.eye(3), atol=1e-15
    )
    np.testing.assert_allclose(vr.rotations.rotation_6d_to_matrix(six * 1e-200), np.eye(3), atol=1e-15)


def test_leading_dims_layout_and_dtype():
    rotation = Rotation.random(24, rng=np.random.default_rng(2))
    matrices = rotation.as_matrix().reshape(2, 3, 4, 3, 3)
    written = vr.rotations.matrix_to_quaternion(matrices)
    assert written.shape == (2, 3, 4, 4)
    np.testing.assert_array_equal(vr.rotations.matrix_to_quaternion(matrices[:, ::2]), written[:, ::2])
    np.testing.assert_array_equal(
        vr.rotations.matrix_to_quaternion(np.swapaxes(matrices, 0, 1)), np.swapaxes(written, 0, 1)
    )
    np.testing.assert_allclose(
        vr.rotations.matrix_to_quaternion(matrices.astype(np.float32)), written, atol=1e-6
    )
    for form, size in SIZE.items():
        assert vr.rotations.convert(np.zeros((0, size)), form, "matrix").shape == (0, 3, 3)
    assert vr.rotations.matrix_to_rotation_6d(np.eye(3)).shape == (6,)


BAD = [
    (np.zeros(4), "quaternion", "rotations", "length > 0"),
    ([0.0, np.nan, 0.0], "euler", "rotations[1]", "finite"),
    ([[0.0, 0.0, 1.0], [0.0, 0.0, np.inf]], "rotation_vector", "rotations[1, 2]", "finite"),
    (np.zeros(5), "quaternion", "rotations", "(..., 4)"),
    (np.zeros(9), "matrix", "rotations", "(..., 3, 3)"),
    (np.eye(3) * 1.01, "matrix", "rotations", "orthonormal"),
    (np.diag([1.0, 1.0, -1.0]), "matrix", "rotations", "reflection"),
    ([0.0, 0.0, 0.0, 1.0, 0.0, 0.0], "rotation_6d", "rotations", "not zero"),
    ([1.0, 0.0, 0.0, 2.0, 0.0, 0.0], "rotation_6d", "rotations", "independent"),
    ([1.0, 0.0, 0.0], "axis", "source", "matrix, quaternion"),
]


@pytest.mark.parametrize(("values", "source", "name", "bound"), BAD)
def test_bad_rotations_are_named(values, source, name, bound):
    with pytest.raises(vr.ConfigError) as error:
        vr.rotations.convert(values, source, "matrix")
    assert error.value.name == name
    assert bound in error.value.bound


def test_the_bad_one_of_many_is_named():
    quaternions = np.tile([0.0, 0.0, 0.0, 1.0], (3, 1))
    quaternions[2] = 0
    with pytest.raises(vr.ConfigError, match=r"rotations\[2\]"):
        vr.rotations.quaternion_to_matrix(quaternions)
