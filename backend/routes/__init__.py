"""What clients call: each route parses, calls, and returns; none of them decides."""
