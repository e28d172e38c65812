"""Load scenarios from files outside this repository (``--scenario-path``), and check them."""
