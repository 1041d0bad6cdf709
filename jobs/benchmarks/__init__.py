"""What a frame costs on this machine and where it goes, measured on a real clip: a section a file, as rows."""
