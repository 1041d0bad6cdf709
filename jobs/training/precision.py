"""In which precision a machine learns fastest."""

import torch

from model.segmenter import Precision

_UNITS = ("amx_bf16", "bf16")
"""Of processors that multiply bf16. Without any a step takes ten times as long as in fp32; with `avx512_bf16` alone a
fifth longer: what it saves on products goes into conversions."""


def fastest_precision() -> Precision:
    """bf16 where the GPU or the processor has units for it, else fp32."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    found: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch does not know
    return "bf16" if any(found.get(unit) for unit in _UNITS) else "fp32"
