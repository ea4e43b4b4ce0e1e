"""Vectors: questions with the answer of every contract, as data that needs no Python.

The files in ``data/`` are in the public domain (CC0). One file serves every backend: next to the
specification's answer stands that of each named contract that answers otherwise.
"""
