"""What the controller and these programs say to each other: orders, and the files and lines that answer them.

src/release/model has the same names in TypeScript, and a test compares both sides. `total=False` stands above what may
be missing. A name that is a word of Python's own can't stand in a class.
"""
