"""The tests; a package, so that `python -m tests.layouts.<name> FOLDER` finds them before others of that name."""
