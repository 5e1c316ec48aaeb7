"""The C++ reference: a page per room, made of the public headers as the site is built (an mkdocs hook).

A declaration is shown as it stands in its header, comments of members included, without what is private and
without bodies of more than a line; the comment before it is the text above. A class or structure in a public
header without any comment is an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ROOT / "cpp" / "include" / "vla_rt"
#: Rooms as CONTRIBUTING lists them, and what stands beside them.
ROOMS = (
    "core",
    "action_space",
    "inference",
    "tokenization",
    "sampling",
    "package",
    "rt",
    "kinematics",
    "smoothing",
    "constraints",
    "execution",
    "adapters",
    "backends",
)
_FOLDER = "api/cpp"
_TYPE = re.compile(
    r"^(?:template <[^{]*?>\s*)?(?:class|struct|union|enum class|enum)\s+(?:VLA_RT_API\s+)?(\w+)"
)
_FUNCTION = re.compile(r"([\w:]+|operator\S+)\s*\(")
_ALIAS = re.compile(r"^using\s+(\w+)\s*=")
_VARIABLE = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)?(?:=|;|\{)")


@dataclass(frozen=True)
class Declaration:
    """One declaration of a header.

    Attributes:
        name: What it declares.
        comment: The text of the comment before it.
        code: As the page shows it.
        is_type: A class, structure or enumeration.
    """

    name: str
    comment: str
    code: str
    is_type: bool


def declarations(text: str) -> list[Declaration]:
    """The declarations of a header's namespace, in order."""
    found: list[Declaration] = []
    comment: list[str] = []
    lines = iter(_inside_namespace(text))
    for line in lines:
        stripped = line.strip()
        if stripped.startswith("///"):
            comment.append(stripped.removeprefix("///").removeprefix(" "))
        elif not stripped or stripped.startswith("//"):
            comment = comment if stripped else []
        elif stripped.startswith("#"):
            comment = []
        else:
            block = [line]
            while not _is_whole(block):
                block.append(next(lines))
            shown = _shown(block)
            if shown is not None:
                trailing = re.search(r"///<\s*(.*)", block[-1]) if len(block) == 1 else None
                words = comment or ([trailing[1]] if trailing else [])
                found.append(Declaration(_name(block), "\n".join(words), shown, bool(_TYPE.match(block[0]))))
            comment = []
    return found


def page(room: str) -> str:
    """The page of a room, as Markdown.

    Raises:
        ValueError: A class or structure has no comment; it is named.
    """
    parts = [f"# C++: {room}", ""]
    for header in sorted((HEADERS / room).rglob("*.h*")):
        include = header.relative_to(HEADERS.parent).as_posix()
        text = header.read_text(encoding="utf-8")
        shown = declarations(text) if header.suffix == ".hpp" else []
        if header.suffix == ".h":  # for C: one piece
            parts += [
                f"## {header.name}",
                "",
                f"`#include <{include}>`",
                "",
                "```c",
                text.rstrip(),
                "```",
                "",
            ]
        elif shown:
            parts += [f"## {header.stem}", "", f"`#include <{include}>`", ""]
        for declaration in shown:
            is_silent = not declaration.comment and "///" not in declaration.code
            if declaration.is_type and is_silent and "enum" not in declaration.code:
                raise ValueError(f"{include}: {declaration.name} has no comment")
            if declaration.is_type:
                parts += [f"### {declaration.name}", ""]
            if declaration.comment:
                parts += [_prose(declaration.comment), ""]
            parts += ["```cpp", declaration.code, "```", ""]
    return "\n".join(parts)


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages to those of the site."""
    from mkdocs.structure.files import File

    for room in ROOMS:
        files.append(File.generated(config, f"{_FOLDER}/{room}.md", content=page(room)))
    return files


def _inside_namespace(text: str) -> list[str]:
    lines = text.splitlines()
    begins = [i for i, line in enumerate(lines) if re.match(r"namespace vla_rt\S* \{", line)]
    ends = [i for i, line in enumerate(lines) if re.match(r"\}  // namespace", line)]
    inside: list[str] = []
    for begin, end in zip(begins, ends, strict=True):
        inside += lines[begin + 1 : end]
    return inside


def _code_of(line: str) -> str:
    """Without comments and literals, whose braces and semicolons count for nothing."""
    line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
    line = re.sub(r"'(?:\\.|[^'\\])'", "''", line)
    return re.sub(r"//.*", "", line)


def _is_whole(block: list[str]) -> bool:
    code = "\n".join(map(_code_of, block))
    balanced = code.count("{") == code.count("}") and code.count("(") == code.count(")")
    return balanced and code.rstrip().endswith((";", "}"))


def _name(block: list[str]) -> str:
    code = " ".join(_code_of(line).strip() for line in block)
    for pattern in (_TYPE, _ALIAS):
        if found := pattern.search(code):
            return found[1]
    before_body = code.partition("{")[0]
    for pattern in (_FUNCTION, _VARIABLE):
        if found := pattern.search(before_body if pattern is _FUNCTION else code):
            return found[1]
    return code


def _shown(block: list[str]) -> str | None:
    """The declaration without what is private; None for a mere mention of a name."""
    if re.match(r"^(?:class|struct|enum class) \w+;$", block[0].strip()):
        return None
    kept: list[str] = []
    lines = iter(block)
    is_private = False
    for line in lines:
        if re.match(r" (?:public|protected|private):", line):
            is_private = "private" in line
            if not is_private and "public" in line and kept and re.match(r"^(?:class|struct)\b", kept[0]):
                kept.append(line)
            continue
        if line.startswith("}"):
            is_private = False
        if is_private or "static_assert" in line or "= delete;" in line:
            continue
        kept.append(_without_body(line, lines))
    code = "\n".join(kept)
    code = re.sub(r"VLA_RT_API ", "", code)
    code = re.sub(r"  // NOLINT\S*.*", "", code)
    code = re.sub(r"\n+(\};?)$", r"\n\1", code)
    return re.sub(r"\n{3,}", "\n\n", code).rstrip()


def _without_body(line: str, rest: Any) -> str:
    """A function's body of several lines becomes a semicolon."""
    code = _code_of(line).rstrip()
    is_function = code.endswith("{") and ")" in code and not re.match(r"^\s*(?:class|struct|enum)\b", code)
    if not is_function:
        return line
    depth = code.count("{") - code.count("}")
    while depth > 0:
        following = _code_of(next(rest))
        depth += following.count("{") - following.count("}")
    return code.removesuffix("{").rstrip() + ";"


def _prose(comment: str) -> str:
    """Markdown of a comment: its lines, with the two fixed ones standing out."""
    text = re.sub(r"(?<!\*)\b(Real-time|Thread):", r"**\1:**", comment)
    return text.replace("<", "&lt;").replace("|", "\\|")
