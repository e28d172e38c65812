"""What the other tools' own commands are given to run; copied to a folder of their own first."""
