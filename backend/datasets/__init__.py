"""What models learn from: files that people upload or name, read row by row."""
