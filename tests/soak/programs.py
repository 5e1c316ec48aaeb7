"""Child processes that are spoken to in lines of JSON."""

from __future__ import annotations

import json
import os
import queue
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ANSWER_S = 60.0
STACK_BYTES = 1 << 20


def _small_stacks() -> None:
    """As on an embedded target; all of every stack is locked in memory."""
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, STACK_BYTES))


class Program:
    """A Python program beside this one, until it is closed or killed."""

    def __init__(self, script: str, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=_small_stacks,
        )
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"ended": self.process.wait()})

    def say(self, **words: Any) -> None:
        """One line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def answer(self, key: str, value: Any = None, timeout_s: float = ANSWER_S) -> Any:
        """The next answer with `key` (and `value`), whatever comes before it. Raises RuntimeError without."""
        while True:
            try:
                found = self.answers.get(timeout=timeout_s)
            except queue.Empty:
                raise RuntimeError(f"no answer with {key!r} within {timeout_s:g} s") from None
            if key in found and value in (None, found[key]):
                return found[key]
            if "ended" in found or "beyond" in found:
                raise RuntimeError(f"waited for {key!r}, got {found}")

    def kill(self) -> None:
        """At once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """In order: its standard input ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(ANSWER_S)
        except subprocess.TimeoutExpired:
            self.kill()
