"""Commands that make runs of runs, and judge them."""
