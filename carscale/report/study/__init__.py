"""The page of a study, and the page of all runs over time."""
