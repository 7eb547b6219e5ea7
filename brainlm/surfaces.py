"""FreeSurfer's average surfaces, on which data may lie."""

from types import MappingProxyType

N_VERTICES = MappingProxyType({"fsaverage5": 10_242, "fsaverage6": 40_962})
"""Vertices of each hemisphere."""
