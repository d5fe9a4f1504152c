"""Schedules: when, and which part of the network, becomes quantized while training goes on."""
