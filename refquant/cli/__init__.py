"""The ``refquant`` command: what a person types, and what a script reads.

main  common                                        the dispatcher, and what commands share
data  reference                                     arrays from files, and the executor over them
inspect  run  quantize  evaluate  compare           one command a file
demo  demo_data  demo_runtime  demo_table           the main job
later                                               commands that do not exist yet, and say so
"""
