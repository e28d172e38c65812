"""Hold the commands of ``cascade-bench``, one file each.

Every command has two functions: `add_command` adds its arguments to the parser, and `run` executes
it and returns the exit code.
"""
