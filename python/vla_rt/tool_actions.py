"""Which actions a control loop executes, and what a policy says about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vla_rt._core import ActionSpace
from vla_rt.errors import ConfigError, error, require

__all__ = ["ActionMeaning", "meaning_for"]

_JOINTS = ("joint_position", "continuous")
_TOOL = ("end_effector_pose", "end_effector_delta")


class ActionMeaning(NamedTuple):
    """What the numbers of an action are.

    Attributes:
        kind: Kind of the action space.
        dimension: D; 0 where that was not said.
    """

    kind: str
    dimension: int

    @classmethod
    def of(cls, space: object) -> ActionMeaning | None:
        """From an action space, its kind as a word, or what a policy package says; None from None.

        Raises:
            ConfigError: Anything else, or actions that no control loop executes.
        """
        if space is None:
            return None
        if isinstance(space, ActionSpace):
            meaning = cls(space.kind, space.dimension)
        elif isinstance(space, str):
            meaning = cls(space, 0)
        elif isinstance(space, Mapping) and isinstance(space.get("type"), str):
            meaning = cls(space["type"], len(space.get("lower", ())))
        else:
            name = type(space).__name__
            raise error(
                ConfigError, "action_space", name, "must be an ActionSpace, the name of a kind or None"
            )
        executable = meaning.kind in _JOINTS + _TOOL
        bound = "cannot be executed by a control loop: must be " + ", ".join(_JOINTS[:1] + _TOOL)
        require(executable, "action_space", meaning.kind, bound)
        return meaning

    @property
    def is_of_the_tool(self) -> bool:
        """Whether a kinematic chain has to turn the actions into joint positions."""
        return self.kind in _TOOL

    def require_joints(self, num_joints: int) -> None:
        """Refuse actions in joint space that are not the robot's.

        Raises:
            ConfigError: The dimension is not the number of joints.
        """
        fits = self.is_of_the_tool or self.dimension in (0, num_joints)
        bound = f"must be that of the robot's joints, {num_joints}"
        require(fits, "action_space.dimension", self.dimension, bound)


def meaning_for(given: object, known: Any, *, has_kinematics: bool, has_walls: bool) -> ActionMeaning | None:
    """The action space that was given, else what the policy is known to have.

    Args:
        given: What the configuration says.
        known: What the policy says.
        has_kinematics: A kinematic chain was given,
        has_walls: and it has another use than actions of the tool.

    Raises:
        ConfigError: Actions of the tool without kinematics, or kinematics for actions nobody has named.
    """
    meaning = ActionMeaning.of(given if given is not None else known)
    if meaning is None:
        bound = "must be given with kinematics: the policy does not say what its actions are"
        require(has_walls or not has_kinematics, "action_space", "None", bound)
    elif meaning.is_of_the_tool:
        bound = f"must be given for {meaning.kind}: Kinematics.from_urdf(path, tip)"
        require(has_kinematics, "kinematics", "None", bound)
    return meaning
