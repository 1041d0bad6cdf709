"""What every command does the same way at the terminal."""
