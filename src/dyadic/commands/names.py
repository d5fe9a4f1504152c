"""Names and digests that configurations write as `${...}`; nothing heavy is imported for them."""

import os
import re
import sys
from pathlib import Path

from omegaconf import OmegaConf

from dyadic.commands.folder import folder_name, records_in
from dyadic.record.fingerprint import of_file, of_folder, of_source


def register() -> None:
    """Let configurations write `${name_of:...}`, `${source_of:...}` and their like."""
    for function in (folder_name, name_of, source_of, digest_of, listing_of, records_in):
        OmegaConf.register_new_resolver(function.__name__, function, replace=True)


def name_of(thing: str) -> str:
    """The last part of a path or of `module:callable`, as a name that any file can have.

    >>> name_of("/data/photos/"), name_of("mynet:Net.small"), name_of("my pictures")
    ('photos', 'small', 'my_pictures')
    """
    last = re.split(r"[/\\:]", str(thing).rstrip("/\\"))[-1]
    last = last if "/" in str(thing) or ":" not in str(thing) else last.rpartition(".")[2]
    return re.sub(r"[^\w.-]", "_", last).lstrip(".") or "unnamed"


def source_of(factory: str) -> str:
    """Digest of the source of `module:callable`, looked for in the current directory first."""
    return of_source(str(factory).partition(":")[0], [os.getcwd(), *sys.path])


def digest_of(path: str) -> str:
    """Digest of a file's content; empty where there is no such file."""
    return of_file(Path(path))


def listing_of(folder: str, data_dir: str) -> str:
    """Digest of the names and sizes of the files in a folder; empty where there is none."""
    places = (Path(folder), Path(data_dir, folder))
    found = next((place for place in places if place.is_dir()), None)
    return "" if found is None else of_folder(found, times=False)
