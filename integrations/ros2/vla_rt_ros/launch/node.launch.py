"""ros2 launch vla_rt_ros node.launch.py params_file:=my.yaml: one node of vla_rt with its parameters."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    """The node; `params_file` says which, `name` what it is called."""
    defaults = PathJoinSubstitution([FindPackageShare("vla_rt_ros"), "config", "policy_node.yaml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument("name", default_value="vla_rt"),
            DeclareLaunchArgument("params_file", default_value=defaults),
            Node(
                package="vla_rt_ros",
                executable="node",
                name=LaunchConfiguration("name"),
                parameters=[LaunchConfiguration("params_file")],
                output="screen",
            ),
        ]
    )
