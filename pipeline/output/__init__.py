"""What a run leaves in OUTPUT, and how it is read: rows, files, commits, tables."""
