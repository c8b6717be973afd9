"""The page of a data set, and the page of its duplicates."""
