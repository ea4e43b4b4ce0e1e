"""What a model is worth, and where it loses it: from graphs and data to numbers.

nll  perplexity                    of the tokens that a model expects
edits  wer  pronunciation          of what an encoder and a decoder say
divergence  similarity  decoded    of a model beside another
walk  layers                       both node by node: what each layer loses
lockstep  difference  trace        the same for whoever looks for a fault
channels  spread                   outliers, and histograms of both

Above `refquant.model`, which says what a graph computes, and below the command line, which reads
files and prints. Nothing here opens a file, and nothing needs more than NumPy.
"""
