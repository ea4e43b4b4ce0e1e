"""Graphs as models of other tools."""
