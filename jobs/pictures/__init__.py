"""Pictures: files to arrays and back, and what a person looks at."""
