"""The frozen folder: its layout, card and lock, and how its splits are read.

Below ``sources``, since a frozen folder can be a source too.
"""
