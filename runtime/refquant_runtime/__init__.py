"""refquant_runtime."""
