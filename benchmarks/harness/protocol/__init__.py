"""Share what parent and worker both need: cells, arrays, messages, comparison of gradients."""
