"""Single files of OpenNeuro's ds003020, downloaded from its public bucket and checked."""

import hashlib
import math
import os
import random
import re
import time
from collections.abc import Callable
from functools import partial as with_arguments
from pathlib import Path
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from brainlm.data.manifest import RemoteFile
from brainlm.errors import InputError

BASE = "https://s3.amazonaws.com/openneuro.org/ds003020"

# What has not filled a chunk when a connection breaks is lost, so chunks are small.
_CHUNK_BYTES = 1 << 16
_LONGEST_BACKOFF_S = 60.0
_LONGEST_RETRY_AFTER_S = 600.0


def address(file: RemoteFile, base: str = BASE) -> str:
    """Where to download `file`; `base` is the address of the dataset's folder."""
    version = f"?versionId={quote(file.version, safe='')}" if file.version else ""
    return f"{base.rstrip('/')}/{quote(file.path)}{version}"


def is_complete(path: Path, file: RemoteFile) -> bool:
    """Whether `path` holds the content of `file`, judged by its size and then its md5."""
    return path.is_file() and path.stat().st_size == file.bytes and _md5(path) == file.md5


def file_here(path: Path, name: str) -> RemoteFile:
    """What a manifest would say of the file at `path`, called `name` within the dataset; of no version."""
    return RemoteFile(name, path.stat().st_size, _md5(path), version="")


def _md5(path: Path) -> str:
    with path.open("rb") as content:
        # Some institutes' machines refuse an md5 that might be meant to keep a secret.
        md5 = hashlib.file_digest(content, with_arguments(hashlib.md5, usedforsecurity=False))
    return md5.hexdigest()


class _Fault(Exception):
    """What went wrong in an attempt; another one may go well."""

    cost: float = 1
    """of the attempts that `download` has"""
    advice = "check the network or proxy and run this again, which goes on from what has arrived"

    def __init__(self, what: str, wait_s: float = 0.0) -> None:
        super().__init__(what)
        self.wait_s = wait_s


class _WrongContent(_Fault):
    """What has arrived so far is not the file's content, or cannot be gone on from."""

    cost = 2
    advice = "check that the mirror, if one is used, has this version of the dataset and that no proxy changes files"


class _Refused(_Fault):
    """Another attempt would end in the same way."""

    cost = math.inf
    advice = "check the mirror, if one is used, and whether a proxy blocks the address"


def download(
    file: RemoteFile,
    target: Path,
    *,
    base: str = BASE,
    attempts: int = 6,
    timeout_s: float = 60,
    backoff_s: float = 1.0,
    progress: Callable[[int], None] = lambda n_bytes: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Make `target` hold the content of `file`, unless it does already.

    What arrives is kept in ``<target>.partial``, from which a later attempt or run goes on. `target` appears only
    when the content is complete and right; what is there already is never changed. One download at a time may write
    to a target.

    Parameters
    ----------
    base : address of the dataset's folder, in the bucket or on a mirror.
    attempts : at most so many requests; one that brings wrong content counts as two.
    timeout_s : s without a byte from the server after which a request has failed.
    backoff_s : s to wait after the first failed request; twice as long after each further one, up to a minute,
        plus up to half of it by chance. A server that asks for a longer wait gets it, up to ten minutes.
    progress : is told the bytes that were just written; negative if as many written earlier were thrown away.
        In total these are the file's bytes less those of a partial that was there before.
    sleep : waits for some s.

    Raises
    ------
    InputError : if the file cannot be downloaded or written, or comes with wrong content again and again; if
        `target` is there with other content, or is a folder, or a link that does not lead to the content.
    """
    url = address(file, base)
    partial = target.with_name(target.name + ".partial")
    try:
        if is_complete(target, file):
            return
        _check_free(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        if _size(partial) >= file.bytes and not is_complete(partial, file):
            _throw_away(partial, progress)
        _repeat(lambda: _attempt(file, url, partial, timeout_s, progress), attempts, backoff_s, sleep)
        partial.replace(target)
    except _Fault as fault:
        raise InputError(
            f"{file.path} could not be downloaded from {url} because {fault}: {fault.advice}, put the file "
            f"at {target} yourself, or use a copy or a mirror of the dataset."
        ) from fault
    except OSError as error:
        raise InputError(
            f"{file.path} from {url} cannot be written to {target} ({error.strerror or error}): check the "
            "folder's permissions and the free space on its disk."
        ) from error


def _check_free(target: Path) -> None:
    if target.is_symlink():
        raise InputError(
            f"{target} is a link that does not lead to the file's content, as in a DataLad copy of the "
            "dataset: run `datalad get` on it."
        )
    if target.is_dir():
        raise InputError(f"{target} is a folder, but a file is to be downloaded there: move it away.")
    if target.exists():
        raise InputError(
            f"{target} is not the file of the dataset, whose size or MD5 sum is another, and is left as it is: move "
            "it away, and the right one will be downloaded."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _throw_away(partial: Path, progress: Callable[[int], None]) -> None:
    if partial.exists():
        size = _size(partial)
        partial.unlink()
        progress(-size)


def _repeat(
    attempt: Callable[[], None], attempts: float, backoff_s: float, sleep: Callable[[float], None]
) -> None:
    """Call `attempt` until it goes well, or raise its last fault."""
    while True:
        try:
            return attempt()
        except _Fault as fault:
            attempts -= fault.cost
            if attempts <= 0:
                raise
            wait_s = min(backoff_s, _LONGEST_BACKOFF_S) * random.uniform(1, 1.5)
            sleep(max(wait_s, min(fault.wait_s, _LONGEST_RETRY_AFTER_S)))
            backoff_s *= 2


def _attempt(
    file: RemoteFile, url: str, partial: Path, timeout_s: float, progress: Callable[[int], None]
) -> None:
    """Bring `partial` from what it holds to the whole file, safe on the disk."""
    try:
        if not partial.exists() or _size(partial) < file.bytes:
            _request(file, url, partial, timeout_s, progress)
        if _size(partial) < file.bytes:
            raise _Fault(f"the server stopped after {_size(partial)} of {file.bytes} bytes")
        if not is_complete(partial, file):
            raise _WrongContent("what arrived does not have the file's size and md5")
    except (requests.RequestException, HTTPError) as error:
        raise _in_words(error, timeout_s) from error
    except _WrongContent:
        _throw_away(partial, progress)
        raise
    with partial.open("rb") as content:
        os.fsync(content.fileno())


def _request(
    file: RemoteFile, url: str, partial: Path, timeout_s: float, progress: Callable[[int], None]
) -> None:
    start = _size(partial)
    # A file that comes compressed could not be continued from the bytes that are here.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as response:
        _check_answer(response, file, start)
        if response.status_code == 200:
            _throw_away(partial, progress)
        with partial.open("ab") as content:
            for chunk in response.iter_content(_CHUNK_BYTES):
                content.write(chunk)
                progress(len(chunk))
                if content.tell() > file.bytes:
                    break


def _check_answer(response: requests.Response, file: RemoteFile, start: int) -> None:
    """Make sure that `response` brings the file, from byte `start` on (206) or all of it (200)."""
    status = response.status_code
    if status == 206:
        content_range = response.headers.get("Content-Range", "")
        if not re.fullmatch(rf"bytes {start}-\d+/({file.bytes}|\*)", content_range):
            raise _WrongContent("the server sent another part than it was asked for")
    elif status == 200:
        length = response.headers.get("Content-Length", str(file.bytes))
        if length != str(file.bytes):  # a network's log-in page, say, for which no partial is thrown away
            raise _Fault(f"the server has {length} bytes there, but the file has {file.bytes}")
    elif status == 416 and start:
        raise _WrongContent("the server's file ends before the dataset's")
    elif status == 429 or status >= 500:
        asked = response.headers.get("Retry-After", "").strip()
        wait_s = float(asked) if re.fullmatch("[0-9]+", asked) else 0.0
        raise _Fault(f"the server is busy or out of order (HTTP {status})", wait_s)
    else:
        raise _Refused(f"the server does not have the file or does not hand it out (HTTP {status})")


def _in_words(error: requests.RequestException | HTTPError, timeout_s: float) -> _Fault:
    name = type(error).__name__
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return _Fault(f"the server sent nothing for {timeout_s:g} s")
    if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return _Fault(f"the connection broke or could not be made ({name})")
    return _Refused(f"the address or the server's answer is malformed ({name})")
