"""The words of a transcript: Praat's files, labels that are no words, and times that may be missing."""

from brainlm.textgrid.tiers import read_words, write_textgrid

__all__ = ["read_words", "write_textgrid"]
