"""Models of other programs as graphs: one file format a family of modules.

ONNX (the extra ``refquant[onnx]``), in the order a file goes through them:

onnx_wire       how much memory the bytes of a protobuf would take, before anything parses them
onnx_model      what an ONNX model is, as data of ours; the order of nodes, names, opsets
onnx_read       bytes -> that data; the one module that imports ``onnx``
onnx_tensor     one tensor of a file; onnx_external: tensors in files beside the model
onnx_inputs     the sizes of the inputs: numbers, the batch, a sequence
onnx_half       models of 16-bit floats, widened; onnx_functions: a model's own, in their places
onnx_known      arithmetic of constants and sizes; onnx_fold, onnx_sizes: what moves them
onnx_items      what a name can stand for; onnx_scope: names and the graph in the making
onnx_lower*     float operators, a family a module
onnx_codes      scales and zero points; onnx_qdq, onnx_on_codes: pairs that become one operator
onnx_qoperator  operators with scales as inputs; onnx_dynamic: those of codes that a run makes
onnx_states     streams: what is there again in the next run
onnx_control    branches and loops put in place; onnx_ends: errors, what nobody reads
onnx_layout     transpositions that meet their inverse
onnx_import     the walk over the nodes: `import_onnx`

TFLite (the extra ``refquant[tflite]``):

tflite_model    what a TFLite model is, as data of ours; tflite_schema: the numbers it is written in
tflite_read     bytes -> that data, counted and checked; the one module that imports ``tflite``
tflite_kernels  which tool computes which operator in which contract: what was measured
tflite_scope    the graph in the making: N H W C outside, N C H W inside
tflite_layers   layers with weights; tflite_pools, tflite_pointwise, tflite_moves: the others
tflite_tables   functions of int8 as 256 codes; tflite_activations: clamps; tflite_fold: shapes
tflite_variables  variables, which become states
tflite_prune    what nobody reads is left out
tflite          the walk over the operators: `import_tflite`
"""
