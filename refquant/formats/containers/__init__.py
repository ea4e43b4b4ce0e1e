"""Containers: how tools lay the codes of weights out in words and bytes, one tool a file."""
