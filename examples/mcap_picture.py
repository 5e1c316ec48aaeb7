"""Draws an MCAP file of a run: chunks as fans around the way of the tool, speeds, seams, the camera.

python examples/mcap_picture.py run.mcap run_mcap.png    # takes vla-rt[mcap,viz], and Pillow for the camera
"""

import base64
import io
import json
import sys
from collections import defaultdict

import numpy as np
from matplotlib.figure import Figure
from mcap.reader import make_reader


def read(path):
    """Messages by topic: (time [s] since the first, content)."""
    with open(path, "rb") as stream:
        found = defaultdict(list)
        for _, channel, message in make_reader(stream).iter_messages():
            found[channel.topic].append((message.publish_time, json.loads(message.data)))
    first = found["/tick"][0][0]
    return {
        topic: [((at - first) / 1e9, content) for at, content in messages]
        for topic, messages in found.items()
    }


def draw(topics, out):
    page = Figure(figsize=(12, 7), layout="constrained")
    grid = page.add_gridspec(3, 2, width_ratios=(1.2, 1))
    space = page.add_subplot(grid[:, 0], projection="3d")
    space.set_title("/tf: way of the tool [m]; /chunk/path: where chunks would lead it")
    for _, update in topics["/chunk/path"]:
        for entity in update["entities"]:
            points = np.array([[p[axis] for axis in "xyz"] for p in entity["lines"][0]["points"]])
            space.plot(*points.T, linewidth=0.8, alpha=0.6)
    transforms = [content["transforms"][0]["translation"] for _, content in topics["/tf"]]
    tool = np.array([[t[axis] for axis in "xyz"] for t in transforms])
    space.plot(*tool.T, color="black", linewidth=2.0)

    names = topics["/limits"][0][1]["names"]
    times = [at for at, _ in topics["/tick"]]
    speeds = page.add_subplot(grid[0, 1])
    speeds.set_title("/tick: velocity_share; /seam: lines")
    speeds.plot(times, [content["velocity_share"] for _, content in topics["/tick"]], linewidth=0.8)
    speeds.vlines([at for at, _ in topics["/seam"]], -1, 1, color="gray", linewidth=0.4)
    speeds.set(xlabel="time [s]", ylim=(-1.05, 1.05))

    wishes = page.add_subplot(grid[1, 1])
    wishes.set_title("/violations: wishes that could not be granted")
    for cause in sorted({content["message"].split(":")[0] for _, content in topics["/violations"]}):
        told = [(at, c["name"]) for at, c in topics["/violations"] if c["message"].startswith(cause)]
        wishes.plot([at for at, _ in told], [names.index(name) for _, name in told], "|", label=cause)
    wishes.set(xlabel="time [s]", yticks=range(len(names)), yticklabels=names)
    wishes.legend(fontsize=7, loc="upper right")

    cameras = [topic for topic in topics if topic.startswith("/camera/")]
    for topic in cameras[:1]:
        import PIL.Image

        at, content = topics[topic][-1]
        camera = page.add_subplot(grid[2, 1])
        camera.set_title(f"{topic} at {at:.2f} s")
        camera.imshow(PIL.Image.open(io.BytesIO(base64.b64decode(content["data"]))))
        camera.axis("off")
    page.savefig(out, dpi=110)


if __name__ == "__main__":
    draw(read(sys.argv[1]), sys.argv[2])
