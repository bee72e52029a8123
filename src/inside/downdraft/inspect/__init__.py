"""What the newer image tells before anything is done: its chains, the database, what stands in the way."""
