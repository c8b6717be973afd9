"""The page of a run, section by section, and of several runs side by side."""
