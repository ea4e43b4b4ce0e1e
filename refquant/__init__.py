"""Post-training quantization, exactly.

Read the packages in this order, and each from its docstring:

numerics       how numbers round, saturate, shift and multiply
contracts      which arithmetic: the axes, and the presets as data
formats        what a code means
calibration    data to ranges
ops            what a quantized layer computes
algorithms     how to bend weights so that they quantize well
model          graphs, their execution and quantization, and the file
atlas          which contracts compute the same, and where the others part
evaluation     what a model is worth, and where it loses it
report         two models side by side, as a page
cli            the ``refquant`` command

A package imports only those above it, except that calibration and ops do not know each
other, nor do model and atlas.
"""
