"""What a model is worth: one metric a file, from graphs and data to a number.

Above `refquant.model`, which says what a graph computes, and below the command line, which reads
files and prints. Nothing here opens a file, and nothing needs more than NumPy.
"""
