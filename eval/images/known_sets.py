"""What the papers call the data sets whose folders go by other names: RealSR's Canon/Test/4, AIM's valid-gt-clean."""

import re
from pathlib import PurePosixPath

_PLAIN = ("hr", "lr", "gt", "lq", "images")  # folders whose own name says nothing

_KNOWN = (  # the end of a path, lower case, and what the set is called
    (r"(canon|nikon)/(train|test)/([234])", r"RealSR-\1 (\2 x\3)"),
    (r"valid-gt-clean|valid-input-noisy|validationsource", "AIM19 (validation)"),
    (r"track1-valid-gt|track1-valid-input|corrupted-va-x", "NTIRE20 (track 1, validation)"),
    (r"dpediphone-va", "NTIRE20 (track 2, validation)"),
    (r"city100_(nikond5500|iphonex)", r"CameraSR (City100 \1)"),
)


def name_of(folder: str) -> str:
    """The name of a set of images in a folder; where the folder's own is plain (`HR`), with that of the one above."""
    path = PurePosixPath(folder.rstrip("/"))
    last = path.parent if path.name.lower() in _PLAIN else path
    for pattern, name in _KNOWN:
        found = re.search(rf"(?:^|/)(?:{pattern})$", str(last), re.IGNORECASE)
        if found is not None:
            return found.expand(name)
    return f"{path.parent.name}/{path.name}" if path.name.lower() in _PLAIN else path.name


def words_of(name: str) -> list[str]:
    """A name as the words in it, so that one set can be told from another whose name holds its own."""
    short = name.lower().replace("2019", "19").replace("2020", "20")
    return [word for word in re.split(r"[^a-z0-9]+", short) if word]


def is_called(name: str, known: str) -> bool:
    """Whether the words of one name stand in another, one after the other."""
    words, wanted = words_of(name), words_of(known)
    return any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
