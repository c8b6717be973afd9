"""Taking a model away: what is written, and the proof that it answers alike."""
