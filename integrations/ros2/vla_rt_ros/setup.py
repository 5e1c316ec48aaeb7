"""The ament package; the node is `vla_rt.integrations.ros2.ros_node`."""

from setuptools import setup

NAME = "vla_rt_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", ["launch/node.launch.py"]),
        (f"share/{NAME}/config", ["config/policy_node.yaml", "config/task_node.yaml"]),
    ],
    install_requires=["setuptools", "vla-rt"],
    zip_safe=True,
    maintainer="vla_rt maintainers",
    maintainer_email="maintainers@users.noreply.github.com",
    description="vla_rt's nodes as nodes of ROS 2",
    license="Apache-2.0",
    entry_points={"console_scripts": ["node = vla_rt.integrations.ros2.ros_node:main"]},
)
