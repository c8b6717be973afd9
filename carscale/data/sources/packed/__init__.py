"""Photos inside other files: zip and tar of class folders, WebDataset shards."""
