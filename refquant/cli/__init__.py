"""The ``refquant`` command: what a person types, and what a script reads.

main  common                                        the dispatcher, and what commands share
models  data  samples  reference                    models, arrays, calibration, the executor
demo  demo_*                                        the main job
import_model  inspect  inspect_*  run  export       files in and out, what they hold and compute
quantize  evaluate  evaluate_*  compare  compare_*  making small models, measuring them
explain  atlas                                      formats and contracts, no model

A command's module is imported when its name is typed, and no other's.
"""
