"""ggml's block formats, one a file: a row of float32 becomes a string of blocks of bytes."""
