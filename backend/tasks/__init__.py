"""Work that one request waits for, and that the server process must not do itself."""
