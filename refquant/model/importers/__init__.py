"""Models of other programs as graphs: one file format a family of modules.

ONNX (the extra ``refquant[onnx]``), in the order a file goes through them:

onnx_wire       how much memory the bytes of a protobuf would take, before anything parses them
onnx_model      what an ONNX model is, as data of ours; the order of nodes, names, opsets
onnx_read       bytes -> that data; the one module that imports ``onnx``
onnx_tensor     one tensor of a file; onnx_external: tensors in files beside the model
onnx_inputs     the sizes of the inputs: numbers, the batch, a sequence
onnx_known      arithmetic of constants and sizes; onnx_fold, onnx_sizes: what moves them
onnx_items      what a name can stand for; onnx_scope: names and the graph in the making
onnx_lower*     float operators, a family a module
onnx_codes      scales and zero points; onnx_qdq, onnx_on_codes: pairs that become one operator
onnx_qoperator  operators with scales as inputs; onnx_dynamic: those of codes that a run makes
onnx_ends       branches put in place, errors, what nobody reads
onnx_import     the walk over the nodes: `import_onnx`
"""
