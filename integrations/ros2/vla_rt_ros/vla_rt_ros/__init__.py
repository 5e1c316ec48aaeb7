"""An ament package has a module of its own name; the node is vla_rt.integrations.ros2.ros_node."""
