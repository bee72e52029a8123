"""The steps that reverse schemas and rows, and those that count and compare rows."""
