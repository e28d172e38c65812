"""Choose the cells to measure, and estimate how long measuring them takes."""
