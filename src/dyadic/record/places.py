"""What the package brings beside its code; in the repository these are links to it."""

from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("dyadic")))
CONF = PACKAGE / "conf"
PUBLISHED = PACKAGE / "published"
SHIPPED = PACKAGE / "shipped"  # the float networks; a wheel has none
