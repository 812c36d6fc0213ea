"""Triton kernels without a GPU.

Triton takes its interpreter, or does not, when it is imported, so they are interpreted in a process of their own.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


def passes_interpreted(file: str) -> None:
    """The cases of a test file with "triton" in their names pass under the interpreter."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "triton", str(Path(file))]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    inner = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert inner.returncode == 0, inner.stdout[-4000:] + inner.stderr[-2000:]
