"""carscale/cli/data."""
