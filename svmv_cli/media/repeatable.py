"""What makes an encoder give the same bytes for the same pictures, which resuming rests on. Knows no pictures."""

from functools import cache
from typing import Any

import numpy as np


def repeatable_options(encoder: str) -> tuple[tuple[str, str], ...]:
    """Options for an FFmpeg encoder under which two runs on this machine are alike.

    x264's AVX-512 code is not repeatable: with macroblock trees the same small pictures were seen to come out six
    different ways in six runs, with AVX2 always the same. Every processor with AVX-512 has AVX2.
    """
    return (("x264-params", "asm=avx2"),) if encoder == "libx264" and _has_avx512() else ()


@cache
def _has_avx512() -> bool:
    # numpy says AVX512… up to 2.3, X86_V4 after.
    known: Any = np.show_config(mode="dicts")
    extensions = known.get("SIMD Extensions", {})
    names = [*extensions.get("baseline", ()), *extensions.get("found", ())]
    return any(name.startswith(("AVX512", "X86_V4")) for name in names)
