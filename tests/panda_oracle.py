"""Where the Panda's tool is and how near its capsules come, by pinocchio and formulas of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from panda_scene import BOX_CENTER, BOX_SIZE, CAPSULES, MAY_TOUCH


class Oracle:
    """Tool position and clearance of the Panda by pinocchio and by its own formulas."""

    def __init__(self, urdf: Path) -> None:
        self.pin = pytest.importorskip("pinocchio", reason="needs pin (oracle environment)")
        self.model = self.pin.buildModelFromUrdf(str(urdf))
        self.data = self.model.createData()
        self.full = self.pin.neutral(self.model)
        self.bodies = []
        for capsule in CAPSULES:
            link, start, *end, radius = capsule
            ends = np.array([start, end[0] if end else start], float)
            frame = self.model.getFrameId(link)
            self.bodies.append((link, self.joint_of(link), frame, ends, radius))
        self.tip = self.model.getFrameId("panda_hand_tcp")

    @staticmethod
    def joint_of(link: str) -> int:
        return 7 if link == "panda_hand" else int(link.removeprefix("panda_link"))

    def tool(self, q: np.ndarray) -> np.ndarray:
        self.full[:7] = q
        self.pin.framesForwardKinematics(self.model, self.data, self.full)
        return self.data.oMf[self.tip].translation.copy()

    def tilt(self, q: np.ndarray) -> float:
        """Angle of the tool's z axis from straight down [rad]."""
        self.tool(q)
        return float(np.arccos(np.clip(-self.data.oMf[self.tip].rotation[2, 2], -1, 1)))

    def clearance(self, q: np.ndarray) -> float:
        self.tool(q)
        placed = []
        for link, joint, frame, ends, radius in self.bodies:
            m = self.data.oMf[frame]
            placed.append((link, joint, ends @ m.rotation.T + m.translation, radius))
        least = np.inf
        for i, (link, joint, ends, radius) in enumerate(placed):
            for other, other_joint, other_ends, other_radius in placed[i + 1 :]:
                if abs(joint - other_joint) > 1 and (link, other) not in MAY_TOUCH:
                    least = min(least, segments_apart(ends, other_ends) - radius - other_radius)
            if joint > 1:
                least = min(least, ends[:, 2].min() - radius, segment_to_box(ends) - radius)
        return float(least)


def segments_apart(a: np.ndarray, b: np.ndarray) -> float:
    """Least distance by the four end-to-segment distances and the lines' common perpendicular."""

    def to_segment(p, s):
        d = s[1] - s[0]
        t = np.clip((p - s[0]) @ d / max(d @ d, 1e-300), 0, 1)
        return np.linalg.norm(p - s[0] - t * d)

    best = min(to_segment(a[0], b), to_segment(a[1], b), to_segment(b[0], a), to_segment(b[1], a))
    u, v, w = a[1] - a[0], b[1] - b[0], b[0] - a[0]
    normal = np.cross(u, v)
    n2 = normal @ normal
    if n2 > 1e-20:
        s, t = np.cross(w, v) @ normal / n2, np.cross(w, u) @ normal / n2
        if 0 <= s <= 1 and 0 <= t <= 1:
            best = min(best, abs(w @ normal) / np.sqrt(n2))
    return float(best)


def segment_to_box(ends: np.ndarray) -> float:
    """Least distance by golden-section search: the distance is convex along the segment."""
    lo, hi = 0.0, 1.0
    half = BOX_SIZE / 2

    def f(t):
        return np.linalg.norm(np.maximum(np.abs(ends[0] + t * (ends[1] - ends[0]) - BOX_CENTER) - half, 0))

    if np.array_equal(ends[0], ends[1]):
        return float(f(0))
    g = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        a, b = hi - g * (hi - lo), lo + g * (hi - lo)
        lo, hi = (lo, b) if f(a) < f(b) else (a, hi)
    return float(min(f(lo), f(hi)))
