"""refquant."""
