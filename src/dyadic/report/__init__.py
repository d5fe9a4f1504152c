"""Reading the results: run records on disk to tables, figures and one self-contained page.

This package reads files and imports none of the packages that wrote them, so a page can be made
from the records of any machine and any version.
"""
