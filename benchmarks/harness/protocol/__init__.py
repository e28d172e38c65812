"""Define what parent and worker share: cells, messages, arrays, comparison of gradients."""
