"""Graphs as models of other tools.

ONNX (the extra ``refquant[onnx]``), in the order a graph goes through them:

onnx_contract   which arithmetics ONNX models have
onnx_draft      the model in the making, as plain data; onnx_codes: scales and zero points
onnx_float      float operators, and movement
onnx_qdq        codes as pairs around float operators
onnx_qoperator  codes as operators on codes; onnx_kernel: those that keep their input's type
onnx_spelled    arithmetics without an operator, in several
onnx_dynamic    products whose codes a run makes, weights of few bits
onnx_export     the walk over the nodes; onnx_write: the draft as bytes, and on the disk
"""
