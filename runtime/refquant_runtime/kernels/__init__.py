"""Machine code: one family of operators a file, compiled when a plan first needs it.

abi  pointers  cache                         how a kernel is called, reaches memory, is kept
emit  arithmetic  tap_sums                   inner loops, as LLVM IR
tiles  int8_tiles  f32_tiles  portable       micro-kernels, made of these or of plain loops
packing  window                              weights and windows in the order that tiles read
gemm_*  depthwise  decode_rows  requantize   layers with weights
all others                                   the operators that their names say
"""
