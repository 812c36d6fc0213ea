"""The command: files in, files out."""
