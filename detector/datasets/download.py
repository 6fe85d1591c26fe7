"""Fetch J. P. Cohen's collection, image by image, over https, and Kermany's through kagglehub."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from detector import InputError
from detector.cli.output import progress
from detector.files.atomic import require_folder, whole

if TYPE_CHECKING:
    import requests

AT_A_TIME = 4
TRIES = 3
TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of a response
MAX_BYTES = 200 * 2**20

Check = Callable[[bytes, Path], object]


def fetch_all(
    base: str, paths: Iterable[PurePosixPath], folder: Path, check: Check, quiet: bool = False
) -> dict[PurePosixPath, str]:
    """Fetch files below `base` into `folder`, leaving out those that are there already and pass `check`.

    A file appears under its name only when it is whole and has passed, so that a download that was interrupted goes on
    where it ended.

    Parameters
    ----------
    base : str
        Address that the paths are relative to.
    paths : iterable of PurePosixPath
    folder : Path
        Made if it is missing.
    check : callable
        Given a file's bytes and its name, raises `InputError` for one that must not count.
    quiet : bool
        Show no progress.

    Returns
    -------
    dict of PurePosixPath to str
        What could not be fetched, and why.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    require_folder(folder)
    missing = [path for path in paths if not _passes(folder / path, check)]
    retries = Retry(total=TRIES, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504))
    failures: dict[PurePosixPath, str] = {}
    with requests.Session() as session, ThreadPoolExecutor(AT_A_TIME) as pool:
        session.mount(base, HTTPAdapter(max_retries=retries, pool_maxsize=AT_A_TIME))
        tasks = {
            pool.submit(_fetch, session, f"{base}/{quote(str(path))}", folder / path, check): path for path in missing
        }
        try:
            for task in progress(as_completed(tasks), len(tasks), "fetching", quiet):
                try:
                    task.result()
                except (requests.RequestException, InputError) as error:
                    failures[tasks[task]] = reason_of(error)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures


def _passes(path: Path, check: Check) -> bool:
    try:
        check(path.read_bytes(), path)
    except (OSError, InputError):
        return False
    return True


def _fetch(session: requests.Session, address: str, path: Path, check: Check) -> None:
    """Fetch one file; a body that breaks off is asked for again, as the session does with a missing response."""
    import requests

    path.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(1, TRIES + 1):
        try:
            data = _receive(session, address)
            check(data, path)
            with whole(path) as part:
                part.write(data)
            return
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
            if attempt == TRIES:
                raise


def _receive(session: requests.Session, address: str) -> bytes:
    received = bytearray()
    with session.get(address, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        for piece in response.iter_content(1 << 16):
            received += piece
            if len(received) > MAX_BYTES:
                raise InputError(f"larger than {MAX_BYTES >> 20} MiB")
    return bytes(received)


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
    seen = set()
    while (inner := _inner(error)) and id(inner) not in seen:
        seen.add(id(inner))
        error = inner
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = (str(error) or type(error).__name__).splitlines()[0]
    # What urllib3 says after the object that failed: "<…HTTPSConnection object at 0x7f…>: Failed to …".
    return text.rpartition(">: ")[2].strip(" '\")(,")[:200] or type(error).__name__


def _inner(error: BaseException) -> BaseException | None:
    """Return the reason of an exception: its cause, or what it holds as its argument, as requests' and urllib3's do."""
    held = [error.__cause__, error.__context__, getattr(error, "reason", None), *error.args]
    return next((one for one in held if isinstance(one, BaseException)), None)
