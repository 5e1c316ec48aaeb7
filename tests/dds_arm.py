"""An arm of three joints at the end of DDS on one machine, for the tests of the bridge."""

from __future__ import annotations

import numpy as np

import vla_rt as vr

NAMES = ("a", "b", "c")
ONE = np.ones(3)
LIMITS = vr.JointLimits(-2 * ONE, 2 * ONE, 1.5 * ONE, 3 * ONE, 30 * ONE)
#: For CYCLONEDDS_URI: no multicast, no other interface.
LOOPBACK = (
    "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<Peers><Peer Address='127.0.0.1'/></Peers></Discovery></Domain></CycloneDDS>"
)
