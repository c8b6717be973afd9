"""Photos decoded and measured once: quality, hashes, duplicates."""
