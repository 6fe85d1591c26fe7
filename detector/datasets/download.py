"""Fetch J. P. Cohen's collection, image by image, over https, and Kermany's through kagglehub."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from detector import InputError
from detector.cli.output import progress
from detector.files.atomic import require_folder, write_together

if TYPE_CHECKING:
    import requests

AT_A_TIME = 4
PAUSES = (0.0, 0.2, 1.0)  # seconds before a file is asked for, and again
TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of a response

Check = Callable[[bytes, Path], object]


def fetch_all(
    base: str, paths: Iterable[PurePosixPath], folder: Path, check: Check, quiet: bool = False
) -> dict[PurePosixPath, str]:
    """Fetch files below `base` into `folder`, leaving out those that are there already and pass `check`.

    A file appears under its name only when it is whole and has passed, so that a download that was interrupted goes on
    where it ended. Given a file's bytes and its name, `check` raises `InputError` for one that must not count. Returns
    what could not be fetched, and why.
    """
    import requests

    require_folder(folder)
    wanted = list(paths)
    with requests.Session() as session, ThreadPoolExecutor(AT_A_TIME) as pool:
        reasons = pool.map(lambda path: _fetch(session, f"{base}/{quote(str(path))}", folder / path, check), wanted)
        shown = progress(reasons, len(wanted), "fetching", quiet)
        return {path: reason for path, reason in zip(wanted, shown, strict=True) if reason}


def _fetch(session: requests.Session, address: str, path: Path, check: Check) -> str:
    """Fetch a file that is not there yet, again if it breaks off; return why that failed, or nothing."""
    import requests

    with suppress(OSError, InputError):
        check(path.read_bytes(), path)
        return ""
    path.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for pause in PAUSES:
        time.sleep(pause)
        try:
            response = session.get(address, timeout=TIMEOUT)
            response.raise_for_status()
            check(response.content, path)
        except (requests.RequestException, InputError) as error:
            reason = reason_of(error)
        else:
            write_together({path: response.content})
            return ""
    return reason


def fetch_kaggle(handle: str, url: str) -> Path:
    """Get a data set through `kagglehub`, which keeps it in its own cache, and return its folder."""
    try:
        import kagglehub

        return Path(kagglehub.dataset_download(handle))
    # kagglehub lets whatever its transport raises through; the user's way out is the same for all.
    except Exception as error:
        raise InputError(
            f"kagglehub cannot get the data set ({reason_of(error)}); try again later, or download {url} with a "
            "browser, unpack it and give its folder with -k"
        ) from None


def reason_of(error: BaseException) -> str:
    """Return why a transport failed, in a few words: requests' own sentence is a trace of its objects."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    text = (str(error) or type(error).__name__).splitlines()[0]
    # urllib3 names the objects that failed before it says why.
    return (text.rpartition(": ")[2] if "Caused by" in text else text).strip(" '\")(,")[:200]
