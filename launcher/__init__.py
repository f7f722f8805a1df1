"""What runs on the user's machine: unpacks the runtime, keeps it whole, and becomes the backend."""
