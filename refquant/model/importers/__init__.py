"""Models of other programs as graphs: one file format a family of modules.

ONNX (the extra ``refquant[onnx]``), in the order a file goes through them:

onnx_wire       how much memory the bytes of a protobuf would take, before anything parses them
onnx_model      what an ONNX model is, as data of ours; the order of nodes, names, opsets
onnx_read       bytes -> that data; the one module that imports ``onnx``
onnx_external   tensors in files beside the model: which paths are allowed
onnx_known      what is known before the model runs: constants and shapes, computed at import
onnx_scope      the graph in the making: what each ONNX name has become
onnx_lower*     float operators, a family a module
onnx_import     the walk over the nodes: `import_onnx`
"""
