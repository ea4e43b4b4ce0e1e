"""The commands of ``refquant-conformance``, one file each."""
