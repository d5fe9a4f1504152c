"""Deployment: the integer program, its engines and the check that they agree to the last bit."""
