"""The commands of ``cascade-bench``, one file each."""
