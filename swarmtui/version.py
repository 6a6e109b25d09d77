"""The version of this program, where every room may read it without importing anything else."""

__version__ = "0.1.0"
