"""Prints the pinned build requirements of pyproject.toml, for builds without isolation."""

import re
from pathlib import Path

text = Path(__file__).parent.parent.joinpath("pyproject.toml").read_text()
block = re.search(r"^requires = \[(.*?)\]", text, re.DOTALL | re.MULTILINE)
assert block is not None, "pyproject.toml has no build requirements"
print(" ".join(re.findall(r'"([^"]+)"', block.group(1))))
