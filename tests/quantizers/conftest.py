"""Hypothesis without deadlines: how fast an example ran on a shared machine proves nothing."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
