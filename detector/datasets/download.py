"""Fetch files over http(s): a few at a time, resuming, each one whole and checked before it counts.

Pooch has no limit of bytes or of time, saves the body of a redirect as the file, and checks files by known digests
only, which a collection without digests does not have.
"""

from __future__ import annotations

import time
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
MAX_SECONDS = 600  # for one file: a server that drips bytes for ever is left
MAX_BYTES = 200 * 2**20


def fetch_all(
    base: str,
    paths: Iterable[PurePosixPath],
    folder: Path,
    check: Callable[[bytes, Path], object],
    quiet: bool = False,
) -> dict[PurePosixPath, str]:
    """Fetch files below `base` into `folder`, leaving out those that are there already and pass `check`.

    A connection that breaks is tried anew; a response that redirects is rejected, since it would lead to a server that
    the user did not name. A file appears under its name only when it is whole and has passed.

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

    Raises
    ------
    InputError
        If `folder` cannot be written.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    require_folder(folder)
    missing = [path for path in paths if not _passes(folder / path, check)]
    retries = Retry(total=TRIES, backoff_factor=0.2, status_forcelist=(429, 500, 502, 503, 504), redirect=0)
    failures: dict[PurePosixPath, str] = {}
    with requests.Session() as session, ThreadPoolExecutor(AT_A_TIME) as pool:
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries, pool_maxsize=AT_A_TIME))
        tasks = {
            pool.submit(_fetch, session, f"{base.rstrip('/')}/{quote(str(path))}", folder / path, check): path
            for path in missing
        }
        try:
            for task in progress(as_completed(tasks), len(tasks), "fetching", quiet):
                try:
                    task.result()
                except (requests.RequestException, InputError) as error:
                    failures[tasks[task]] = _reason(error)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failures


def _passes(path: Path, check: Callable[[bytes, Path], object]) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return False
        check(path.read_bytes(), path)
    except (OSError, InputError):
        return False
    return True


def _fetch(session: requests.Session, address: str, path: Path, check: Callable[[bytes, Path], object]) -> None:
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
            time.sleep(0.2 * 2**attempt)


def _receive(session: requests.Session, address: str) -> bytes:
    start = time.monotonic()
    received = bytearray()
    with session.get(address, stream=True, timeout=TIMEOUT, allow_redirects=False) as response:
        response.raise_for_status()
        if response.is_redirect or response.status_code != 200:
            raise InputError(f"answered with status {response.status_code} instead of the file")
        # Whatever has come by now: a read that waits for a full block would wait for ever where bytes drip.
        while piece := _piece(response):
            received += piece
            if len(received) > MAX_BYTES:
                raise InputError(f"larger than {MAX_BYTES >> 20} MiB")
            if time.monotonic() - start > MAX_SECONDS:
                raise InputError(f"not whole after {MAX_SECONDS} s")
    return bytes(received)


def _piece(response: requests.Response) -> bytes:
    import requests
    from urllib3.exceptions import HTTPError

    try:
        return response.raw.read1(1 << 16, decode_content=True)
    except HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from None


def _reason(error: Exception) -> str:
    """Return why a file could not be fetched, in words: requests' own sentence is a trace of its objects."""
    import requests
    from urllib3.exceptions import NameResolutionError, NewConnectionError

    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate cannot be verified"
    if isinstance(error, requests.Timeout):
        return f"the server did not respond in {TIMEOUT[1]} s"
    cause = getattr(error.args[0], "reason", None) if error.args else None
    if isinstance(cause, NameResolutionError):
        return "no server of this name is known, or there is no network"
    if isinstance(cause, NewConnectionError):
        said = getattr(cause.__cause__ or cause.__context__, "strerror", None)
        return f"no connection to the server ({said.lower()})" if said else "no connection to the server"
    if isinstance(error, requests.ConnectionError):
        return "the connection broke off"
    return str(error).splitlines()[0][:200]
