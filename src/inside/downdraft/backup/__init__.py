"""The steps that copy the database or dump it, and that bring it back."""
