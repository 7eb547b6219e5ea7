import hashlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from brainlm.data.download import (
    address,
    download,
    file_here,
    is_complete,
)
from brainlm.data.manifest import RemoteFile
from brainlm.errors import InputError

# Several of the chunks that a download writes, and a rest.
CONTENT = bytes(i * i // 7 % 251 for i in range(300_000))
BROKEN_AT = 200_000
VERSION = "wp9Z.Ik_3"
MD5 = "0123456789abcdef0123456789abcdef"

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@dataclass
class Bucket:
    """A server that answers the first requests as planned and all others as it should."""

    address: str = ""
    content: dict[str, bytes] = field(default_factory=dict)
    """by the path with the version id"""
    plan: list[Answer] = field(default_factory=list)
    always: Answer | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """path with the version id, and Range"""

    def add(self, path: str = "derivative/story.hf5", content: bytes = CONTENT) -> RemoteFile:
        self.content[f"/{path}?versionId={VERSION}"] = content
        return RemoteFile(path, len(content), hashlib.md5(content).hexdigest(), VERSION)

    @property
    def ranges(self) -> list[str | None]:
        return [range_ for _, range_ in self.requests]


def as_it_should(handler: BaseHTTPRequestHandler, content: bytes, *, stop_at: int | None = None) -> None:
    """Give all, or what is asked for; break the connection before byte `stop_at` of the file."""
    asked = handler.headers["Range"]
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
    if asked and start >= len(content):
        handler.send_error(416)
        return
    handler.send_response(206 if asked else 200)
    if asked:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - start))
    handler.end_headers()
    handler.wfile.write(content[start:stop_at])


def breaking_at(n_bytes: int) -> Answer:
    return lambda handler, content: as_it_should(handler, content, stop_at=n_bytes)


def hanging_up(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def status(code: int, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "7")
        handler.end_headers()
        handler.wfile.write(b"<Error>")

    return answer


def with_range(content_range: str | None, body: bytes = b"x" * 1000) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(206)
        if content_range is not None:
            handler.send_header("Content-Range", content_range)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def whole(body: bytes | None = None, *, says_length: bool = True, stop_at: int | None = None) -> Answer:
    """Give `body`, or the file, whatever range is asked for."""

    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        given = content if body is None else body
        handler.send_response(200)
        if says_length:
            handler.send_header("Content-Length", str(len(given)))
        handler.end_headers()
        handler.wfile.write(given[:stop_at])

    return answer


def stalling(n_bytes: int, seconds: float = 2.5) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        as_it_should(handler, content, stop_at=n_bytes)
        handler.wfile.flush()
        time.sleep(seconds)

    return answer


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    monkeypatch.setenv("no_proxy", "*")
    here = Bucket()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                here.requests.append((self.path, self.headers["Range"]))
                answer = here.plan.pop(0) if here.plan else here.always or as_it_should
            if self.path in here.content:
                answer(self, here.content[self.path])
            else:
                self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda request, client_address: None  # it has hung up, as it should
        here.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield here
        server.shutdown()
        thread.join()


@dataclass
class Run:
    """Downloads into one target, and what they told."""

    bucket: Bucket
    target: Path
    waits_s: list[float] = field(default_factory=list)
    progress: list[int] = field(default_factory=list)

    @property
    def partial(self) -> Path:
        return self.target.with_name(self.target.name + ".partial")

    def __call__(self, file: RemoteFile, **options) -> None:
        options = {
            "base": self.bucket.address,
            "sleep": self.waits_s.append,
            "progress": self.progress.append,
            "timeout_s": 10,
        } | options
        download(file, self.target, **options)

    def refusal(self, file: RemoteFile, **options) -> str:
        """The sentence of a download that fails."""
        with pytest.raises(InputError) as caught:
            self(file, **options)
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert ". " not in sentence and "\n" not in sentence
        assert file.path in sentence
        assert address(file, options.get("base", self.bucket.address)) in sentence
        assert str(self.target) in sentence
        return sentence

    def assert_done(self, content: bytes = CONTENT) -> None:
        assert self.target.read_bytes() == content
        assert [path.name for path in self.target.parent.iterdir()] == [self.target.name]


@pytest.fixture
def run(bucket: Bucket, tmp_path: Path) -> Run:
    return Run(bucket, tmp_path / "derivative" / "story.hf5")


# Addresses, checks, space.


def test_an_address_is_quoted():
    file = RemoteFile("derivative/UTS01/a b+c#é?.hf5", 1, MD5, "a.b_c+d/e&f")
    assert address(file, "https://host/ds/") == (
        "https://host/ds/derivative/UTS01/a%20b%2Bc%23%C3%A9%3F.hf5?versionId=a.b_c%2Bd%2Fe%26f"
    )


def test_an_address_without_a_version():
    assert address(RemoteFile("derivative/respdict.json", 1, MD5, "")) == (
        "https://s3.amazonaws.com/openneuro.org/ds003020/derivative/respdict.json"
    )


def test_complete_is_the_size_and_the_md5(tmp_path):
    path = tmp_path / "x"
    file = RemoteFile("x", 3, hashlib.md5(b"abc").hexdigest(), "")
    assert not is_complete(path, file)
    for content, complete in [(b"abc", True), (b"abd", False), (b"ab", False), (b"abcd", False)]:
        path.write_bytes(content)
        assert is_complete(path, file) == complete
    path.write_bytes(b"abc")
    assert not is_complete(path, RemoteFile("x", 4, file.md5, ""))
    path.unlink()
    path.mkdir()
    assert not is_complete(path, file)


def test_what_a_manifest_would_say_of_a_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"abc")
    assert file_here(path, "derivative/a.json") == RemoteFile(
        "derivative/a.json", 3, "900150983cd24fb0d6963f7d28e17f72", ""
    )


# Downloads that go well.


def test_a_file_is_downloaded(run, bucket):
    run(bucket.add())
    run.assert_done()
    assert bucket.requests == [(f"/derivative/story.hf5?versionId={VERSION}", None)]
    assert sum(run.progress) == len(CONTENT)
    assert len(run.progress) > 1
    assert min(run.progress) > 0
    assert run.waits_s == []


def test_a_file_without_a_version_is_asked_for_without_one(run, bucket):
    bucket.content["/a%20b.json"] = b"{}"
    run(RemoteFile("a b.json", 2, hashlib.md5(b"{}").hexdigest(), ""))
    run.assert_done(b"{}")
    assert bucket.requests == [("/a%20b.json", None)]


def test_a_file_is_asked_for_as_it_is(run, bucket):
    asked = []

    def see(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        asked.append(handler.headers["Accept-Encoding"])
        as_it_should(handler, content)

    bucket.plan = [see]
    run(bucket.add())
    assert asked == ["identity"]


def test_an_empty_file_is_downloaded(run, bucket):
    run(bucket.add(content=b""))
    run.assert_done(b"")
    assert len(bucket.requests) == 1
    assert sum(run.progress) == 0


def test_nothing_is_asked_for_a_file_that_is_there(run, bucket):
    run.target.parent.mkdir()
    run.target.write_bytes(CONTENT)
    before = run.target.stat()
    run(bucket.add())
    assert bucket.requests == []
    assert run.progress == []
    assert run.target.stat() == before


@pytest.mark.parametrize(
    "there", [b"", CONTENT[:-1], CONTENT[:-1] + b"?", CONTENT + b"?", b"/annex/objects/MD5E-s3--0.hf5\n"]
)
def test_a_file_that_is_wrong_is_left_as_it_is(run, bucket, there):
    run.target.parent.mkdir()
    run.target.write_bytes(there)
    with pytest.raises(InputError, match=r"story\.hf5 is not the file of the dataset.*move it away"):
        run(bucket.add())
    assert bucket.requests == []
    assert {path.name: path.read_bytes() for path in run.target.parent.iterdir()} == {"story.hf5": there}


def test_a_file_appears_only_when_it_is_complete_and_on_the_disk(run, bucket, monkeypatch):
    events = []
    fsync = os.fsync

    def see_fsync(descriptor: int) -> None:
        events.append(("fsync", os.fstat(descriptor).st_size, run.target.exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", see_fsync)
    bucket.plan = [breaking_at(BROKEN_AT)]
    run(bucket.add(), progress=lambda n_bytes: events.append(("written", n_bytes, run.target.exists())))
    assert [there for _, _, there in events] == [False] * len(events)
    assert events[-1] == ("fsync", len(CONTENT), False)
    assert sum(n_bytes for event, n_bytes, _ in events if event == "written") == len(CONTENT)
    run.assert_done()


def test_two_files_at_once(bucket, tmp_path):
    contents = {"a.hf5": CONTENT, "b.hf5": CONTENT[::-1]}
    runs = {name: Run(bucket, tmp_path / name) for name in contents}
    both = threading.Barrier(2, timeout=20)  # neither is served before both have asked

    def together(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        both.wait()
        as_it_should(handler, content, stop_at=BROKEN_AT)

    bucket.plan = [together, together]
    threads = [
        threading.Thread(target=runs[name], args=(bucket.add(name, content),))
        for name, content in contents.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == contents
    assert sorted(path[:6] for path, _ in bucket.requests) == ["/a.hf5"] * 2 + ["/b.hf5"] * 2
    assert [sum(one.progress) for one in runs.values()] == [len(CONTENT)] * 2


# Faults that pass.


def held(range_: str | None) -> int:
    assert range_ is not None
    return int(range_.removeprefix("bytes=").removesuffix("-"))


def test_a_broken_download_goes_on_where_it_stopped(run, bucket):
    bucket.plan = [breaking_at(BROKEN_AT // 2), breaking_at(BROKEN_AT)]
    run(bucket.add())
    run.assert_done()
    first, second, third = bucket.ranges
    assert first is None
    # The last bytes before a break may not have come far enough to be written.
    assert BROKEN_AT // 2 - 2**16 <= held(second) <= BROKEN_AT // 2
    assert BROKEN_AT - 2**16 <= held(third) <= BROKEN_AT
    assert {path for path, _ in bucket.requests} == {f"/derivative/story.hf5?versionId={VERSION}"}
    assert sum(run.progress) == len(CONTENT)
    assert min(run.progress) > 0


def test_a_later_run_goes_on_where_an_earlier_one_stopped(run, bucket):
    file = bucket.add()
    bucket.plan = [breaking_at(BROKEN_AT)]
    run.refusal(file, attempts=1)
    n_held = run.partial.stat().st_size
    assert run.partial.read_bytes() == CONTENT[:n_held]
    assert not run.target.exists()
    assert sum(run.progress) == n_held >= BROKEN_AT - 2**16
    run(file)
    run.assert_done()
    assert bucket.ranges == [None, f"bytes={n_held}-"]
    assert sum(run.progress) == len(CONTENT)


@pytest.mark.parametrize("left", [b"", CONTENT[:1], CONTENT[:-1]])
def test_a_partial_of_an_earlier_process_is_completed(run, bucket, left):
    run.target.parent.mkdir()
    run.partial.write_bytes(left)
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [f"bytes={len(left)}-" if left else None]
    assert sum(run.progress) == len(CONTENT) - len(left)


def test_a_partial_that_is_complete_needs_no_request(run, bucket):
    run.target.parent.mkdir()
    run.partial.write_bytes(CONTENT)
    run(bucket.add())
    run.assert_done()
    assert bucket.requests == []
    assert sum(run.progress) == 0


@pytest.mark.parametrize("left", [b"?" * len(CONTENT), CONTENT + b"?"])
def test_a_partial_as_large_as_the_file_or_larger_but_wrong_is_thrown_away(run, bucket, left):
    run.target.parent.mkdir()
    run.partial.write_bytes(left)
    run(bucket.add(), attempts=1)
    run.assert_done()
    assert bucket.ranges == [None]
    assert sum(run.progress) == len(CONTENT) - len(left)


def test_a_partial_that_begins_otherwise_is_thrown_away(run, bucket):
    run.target.parent.mkdir()
    run.partial.write_bytes(b"?" * 1000)
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == ["bytes=1000-", None]
    assert sum(run.progress) == len(CONTENT) - 1000


@pytest.mark.parametrize("says_length", [True, False])
def test_a_server_that_ignores_ranges_starts_over(run, bucket, says_length):
    bucket.plan = [breaking_at(BROKEN_AT), whole(says_length=says_length)]
    run(bucket.add())
    run.assert_done()
    assert len(bucket.requests) == 2
    n_held = held(bucket.ranges[1])
    assert n_held > 0
    assert -n_held in run.progress
    assert sum(run.progress) == len(CONTENT)


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 0-299999/300000",
        "bytes 100001-299999/300000",
        "bytes 10000-299999/300000",
        "bytes 1000000-1199999/300000",
        "bytes 100000-299998/299999",
        "items 100000-299999/300000",
        "bytes */300000",
        None,
    ],
)
def test_another_range_than_asked_for_starts_over(run, bucket, content_range):
    run.target.parent.mkdir()
    run.partial.write_bytes(CONTENT[:100_000])
    # Its bytes are the right ones, so that only the range can give it away.
    bucket.plan = [with_range(content_range, CONTENT[100_000:])]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == ["bytes=100000-", None]
    assert run.progress[0] == -100_000


def test_a_range_of_a_file_of_unknown_size_fits(run, bucket):
    run.target.parent.mkdir()
    run.partial.write_bytes(CONTENT[:100_000])
    bucket.plan = [with_range("bytes 100000-299999/*", CONTENT[100_000:])]
    run(bucket.add())
    run.assert_done()
    assert len(bucket.requests) == 1


def test_a_part_that_was_not_asked_for_is_not_taken_for_the_whole(run, bucket):
    bucket.plan = [with_range("bytes 10-299999/300000", CONTENT[10:])]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [None, None]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_out_of_order_is_asked_again(run, bucket, code):
    bucket.plan = [status(code), status(code)]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [None] * 3
    assert len(run.waits_s) == 2


def test_a_server_out_of_order_does_not_cost_the_partial(run, bucket):
    bucket.plan = [breaking_at(BROKEN_AT), status(503)]
    run(bucket.add())
    run.assert_done()
    assert held(bucket.ranges[1]) == held(bucket.ranges[2]) >= BROKEN_AT - 2**16


def test_waits_grow_with_some_chance(run, bucket):
    bucket.plan = [status(503)] * 9
    run(bucket.add(), attempts=10, backoff_s=1)
    least = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert len(run.waits_s) == len(least)
    assert all(low <= wait <= 1.5 * low for low, wait in zip(least, run.waits_s, strict=True))
    assert len({wait / low for low, wait in zip(least, run.waits_s, strict=True)}) > 1


@pytest.mark.parametrize("code", [429, 503])
def test_the_wait_that_a_server_asks_for_is_kept(run, bucket, code):
    bucket.plan = [status(code, Retry_After="7"), status(code, Retry_After="100000")]
    run(bucket.add(), backoff_s=0.1)
    run.assert_done()
    assert run.waits_s == [7, 600]


@pytest.mark.parametrize("asked", ["0", "-5", "soon", "Wed, 21 Oct 2037 07:28:00 GMT", "inf", ""])
def test_other_waits_are_the_usual_ones(run, bucket, asked):
    bucket.plan = [status(503, Retry_After=asked)]
    run(bucket.add(), backoff_s=0.1)
    run.assert_done()
    assert len(run.waits_s) == 1
    assert 0.1 <= run.waits_s[0] <= 0.15


def test_a_short_body_without_a_length_is_continued(run, bucket):
    bucket.plan = [whole(says_length=False, stop_at=BROKEN_AT)]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [None, f"bytes={BROKEN_AT}-"]


def test_a_page_in_place_of_the_file_does_not_cost_the_partial(run, bucket):
    run.target.parent.mkdir()
    run.partial.write_bytes(CONTENT[:1000])
    bucket.plan = [whole(b"<html>Please log in</html>")]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == ["bytes=1000-", "bytes=1000-"]


def test_a_connection_that_ends_before_an_answer_is_made_again(run, bucket):
    bucket.plan = [hanging_up, hanging_up]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [None] * 3
    assert len(run.waits_s) == 2


def test_a_server_that_stalls_is_asked_again(run, bucket):
    bucket.plan = [stalling(BROKEN_AT)]
    run(bucket.add(), timeout_s=1)
    run.assert_done()
    assert len(bucket.requests) == 2
    assert held(bucket.ranges[1]) >= BROKEN_AT - 2**16


@pytest.mark.parametrize(
    "body",
    [whole(b"?" * len(CONTENT)), whole(CONTENT[:-1] + b"?"), whole(CONTENT + b"more", says_length=False)],
)
def test_wrong_content_is_fetched_again(run, bucket, body):
    bucket.plan = [body]
    run(bucket.add())
    run.assert_done()
    assert bucket.ranges == [None, None]
    assert sum(run.progress) == len(CONTENT)


# Faults that stay.


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 416])
def test_a_refusal_is_final(run, bucket, code):
    bucket.always = status(code)
    sentence = run.refusal(bucket.add())
    assert f"HTTP {code}" in sentence
    assert "copy or a mirror of the dataset" in sentence and "yourself" in sentence
    assert len(bucket.requests) == 1
    assert run.waits_s == []
    assert list(run.target.parent.iterdir()) == []


def test_a_refusal_keeps_the_partial(run, bucket):
    bucket.plan = [breaking_at(BROKEN_AT), status(403)]
    run.refusal(bucket.add())
    assert len(bucket.requests) == 2
    assert run.partial.read_bytes() == CONTENT[: held(bucket.ranges[1])]
    assert not run.target.exists()


def test_another_version_of_the_file_is_not_taken(run, bucket):
    file = bucket.add()
    sentence = run.refusal(RemoteFile(file.path, file.bytes, file.md5, "other"))
    assert "HTTP 404" in sentence
    assert bucket.requests == [("/derivative/story.hf5?versionId=other", None)]


def test_a_server_that_stays_out_of_order_is_left(run, bucket):
    bucket.always = status(503)
    sentence = run.refusal(bucket.add())
    assert "HTTP 503" in sentence and "network or proxy" in sentence
    assert len(bucket.requests) == 6
    assert len(run.waits_s) == 5


def test_a_connection_that_keeps_breaking_is_left_with_its_partial(run, bucket):
    bucket.always = breaking_at(BROKEN_AT)
    sentence = run.refusal(bucket.add(), attempts=3)
    assert "connection broke" in sentence
    assert len(bucket.requests) == 3
    n_held = run.partial.stat().st_size
    assert BROKEN_AT - 2**16 <= n_held <= BROKEN_AT
    assert run.partial.read_bytes() == CONTENT[:n_held]
    assert sum(run.progress) == n_held
    assert not run.target.exists()


def test_a_server_that_stays_silent_is_left(run, bucket):
    bucket.always = lambda handler, content: time.sleep(0.6)
    sentence = run.refusal(bucket.add(), attempts=2, timeout_s=0.2)
    assert "sent nothing for 0.2 s" in sentence
    assert len(bucket.requests) == 2


def test_a_stall_within_the_body_is_told_as_one(run, bucket):
    bucket.always = stalling(BROKEN_AT, 0.6)
    assert "sent nothing for 0.2 s" in run.refusal(bucket.add(), attempts=1, timeout_s=0.2)


def test_a_server_that_is_not_there_is_left(run, bucket):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound but not listening: nobody else can answer there
        base = f"http://127.0.0.1:{free.getsockname()[1]}"
        sentence = run.refusal(bucket.add(), base=base)
    assert "could not be made" in sentence and "network or proxy" in sentence
    assert len(run.waits_s) == 5


@pytest.mark.parametrize("base", ["host/ds", "ftp://host/ds", "http://", f"http://{'a' * 70}.com"])
def test_a_malformed_address_is_refused_at_once(run, bucket, base):
    assert "malformed" in run.refusal(bucket.add(), base=base)
    assert run.waits_s == []


def test_a_redirection_in_a_circle_is_refused(run, bucket):
    file = bucket.add()
    bucket.always = status(302, Location=address(file, bucket.address))
    assert "TooManyRedirects" in run.refusal(file)
    assert run.waits_s == []


def test_content_that_stays_wrong_is_refused_and_removed(run, bucket):
    bucket.always = whole(b"?" * len(CONTENT))
    sentence = run.refusal(bucket.add())
    assert "md5" in sentence
    assert bucket.ranges == [None] * 3
    assert list(run.target.parent.iterdir()) == []
    assert sum(run.progress) == 0


def test_a_file_of_another_size_is_refused(run, bucket):
    bucket.always = whole(CONTENT[:-5])
    sentence = run.refusal(bucket.add())
    assert "299995 bytes" in sentence and "300000" in sentence
    assert run.progress == []


def test_content_without_an_end_is_cut_off(run, bucket):
    sent = []

    def endless(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(2000):
            handler.wfile.write(b"?" * 100_000)
            sent.append(100_000)

    bucket.always = endless
    run.refusal(bucket.add(), attempts=1)
    assert sum(n_bytes for n_bytes in run.progress if n_bytes > 0) <= len(CONTENT) + 2**16
    assert len(sent) < 2000
    assert list(run.target.parent.iterdir()) == []


def test_a_file_that_ends_before_the_partial_is_refused(run, bucket):
    run.target.parent.mkdir()
    run.partial.write_bytes(CONTENT[:1000])
    file = bucket.add()
    bucket.content[f"/derivative/story.hf5?versionId={VERSION}"] = CONTENT[:500]
    assert "500 bytes" in run.refusal(file)
    assert bucket.ranges == ["bytes=1000-", *[None] * 4]
    assert list(run.target.parent.iterdir()) == []


def test_a_link_that_leads_nowhere_belongs_to_datalad(run, bucket):
    run.target.parent.mkdir()
    run.target.symlink_to("../.git/annex/objects/none")
    with pytest.raises(InputError, match=r"story\.hf5 is a link.*`datalad get`"):
        run(bucket.add())
    assert bucket.requests == []
    assert [path.name for path in run.target.parent.iterdir()] == ["story.hf5"]


def test_a_link_to_other_content_is_not_replaced(run, bucket):
    run.target.parent.mkdir()
    other = run.target.with_name("other")
    other.write_bytes(b"other")
    run.target.symlink_to(other)
    with pytest.raises(InputError, match="`datalad get`"):
        run(bucket.add())
    assert bucket.requests == []
    assert run.target.is_symlink() and other.read_bytes() == b"other"


def test_a_link_to_the_content_is_as_good_as_the_file(run, bucket):
    run.target.parent.mkdir()
    content = run.target.with_name("content")
    content.write_bytes(CONTENT)
    run.target.symlink_to(content)
    run(bucket.add())
    assert bucket.requests == []
    assert run.target.is_symlink()


def test_a_folder_in_the_place_of_the_file_is_refused(run, bucket):
    run.target.mkdir(parents=True)
    with pytest.raises(InputError, match=r"story\.hf5 is a folder"):
        run(bucket.add())
    assert bucket.requests == []


def test_a_folder_that_cannot_be_made_is_refused(run, bucket):
    run.target.parent.write_text("a file where the folder should be")
    assert "cannot be written" in run.refusal(bucket.add())
    assert bucket.requests == []


def test_a_full_disk_is_told_and_keeps_the_partial(run, bucket):
    def full(n_bytes: int) -> None:
        raise OSError(28, "No space left on device")

    assert "No space left on device" in run.refusal(bucket.add(), progress=full)
    assert len(bucket.requests) == 1
    n_held = run.partial.stat().st_size
    assert 0 < n_held < len(CONTENT)
    assert run.partial.read_bytes() == CONTENT[:n_held]


def test_an_interrupted_download_keeps_its_partial(run, bucket):
    def interrupt(n_bytes: int) -> None:
        raise KeyboardInterrupt

    file = bucket.add()
    with pytest.raises(KeyboardInterrupt):
        run(file, progress=interrupt)
    n_held = run.partial.stat().st_size
    assert run.partial.read_bytes() == CONTENT[:n_held] != b""
    assert not run.target.exists()
    run(file)
    run.assert_done()
    assert bucket.ranges == [None, f"bytes={n_held}-"]
