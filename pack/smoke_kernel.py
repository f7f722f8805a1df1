"""One GPU kernel, compiled without a GPU: `<runtime's python> smoke_kernel.py FOLDER`.

verify runs it in the packed runtime. It shows that what triton needs to build kernels, as torch.compile has it do,
was not left out: its library of device functions, its assembler (ptxas). A runtime without CUDA has no triton.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

if find_spec("triton") is None:
    print("there is no triton here")
    sys.exit()
os.environ["TRITON_CACHE_DIR"] = sys.argv[1]  # it would be in HOME, which may not be set

import triton
from triton import language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.language.extra import libdevice

AMPERE = GPUTarget("cuda", 80, 32)


@triton.jit  # type: ignore[untyped-decorator]
def _tanh(source, target, count, size: tl.constexpr):  # type: ignore[no-untyped-def]  # triton reads what is written
    place = tl.program_id(0) * size + tl.arange(0, size)
    inside = place < count
    tl.store(target + place, libdevice.tanh(tl.load(source + place, mask=inside)), mask=inside)


signature = {"source": "*fp32", "target": "*fp32", "count": "i32", "size": "constexpr"}
made = triton.compile(ASTSource(fn=_tanh, signature=signature, constexprs={"size": 128}), target=AMPERE)
print(f"{len(made.asm['cubin'])} bytes of machine code")
