"""What scripts/bench.py measures. Standard library only, but for the programs that run in the project's environment."""
