"""``carscale benchmark loaders|models``."""
