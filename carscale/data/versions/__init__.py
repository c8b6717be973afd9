"""New versions of a frozen folder that name their parent: add, drop, relabel, pack."""
