"""Reading a model into a graph."""
