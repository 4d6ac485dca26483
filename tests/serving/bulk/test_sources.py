"""Which files an input names, links and remote ones included."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import re
import threading

import pytest

from pipeline.errors import EnvironmentFault, InputError
from serving.bulk.sources import SourceError, find_sources
from tests.serving.bulk.scored import answers, as_csv, as_lines, as_parquet, run_here, shards_of


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (("{in}/*.csv",), "names no file"),
        (("{in}/a.txt", "{in}/*.txt"), "twice"),
        (("{in}", "{in}/sub"), "twice"),
        (("{in}/../in/b.bin",), "say it by --format"),
        (("{in}/sub/book.xlsx",), "book.xlsx: workbooks are not read; save the sheet as CSV in UTF-8"),
        (("nosuch://bucket/a.txt",), "cannot be opened"),
        (("{in}/absent.txt",), "cannot be read"),
    ],
)
def test_inputs_that_name_no_file_or_one_twice_are_refused(inputs, reason, options, tmp_path):
    (tmp_path / "in" / "sub").mkdir()
    for name in ("a.txt", "b.bin", "sub/c.txt", "sub/book.xlsx"):
        (tmp_path / "in" / name).write_text("a\n")
    with pytest.raises(InputError, match=reason):
        shards_of(options(input=[each.replace("{in}", str(tmp_path / "in")) for each in inputs]), None)


def test_a_missing_package_of_a_file_system_is_named(options):
    with pytest.raises(EnvironmentFault, match="s3fs"):
        shards_of(options(input=("s3://bucket/a.txt",)), None)


def test_an_output_among_the_inputs_is_refused(options, tmp_path):
    with pytest.raises(InputError, match="answers would be read as texts"):
        shards_of(options(output_dir=tmp_path / "in" / "out"), None)


def test_answers_are_never_read_as_texts(options, scorer, texts, tmp_path):
    (tmp_path / "in" / "a.parquet").write_bytes(as_parquet(texts))
    given = options(input=(str(tmp_path / "in" / "**" / "*.parquet"),), output_dir=tmp_path / "in" / "out")
    run_here(given, scorer)
    with pytest.raises(InputError, match="answers would be read as texts"):
        run_here(given, scorer)


class _Ranges(http.server.BaseHTTPRequestHandler):
    """Serves one file, whole or in parts, as an object store does."""

    content = b""
    told: tuple[tuple[str, str], ...] = (("ETag", '"1"'),)
    in_parts = True

    def do_HEAD(self) -> None:
        if self.content is None:
            self._head(500, 0)
            return
        self._head(200, len(self.content))

    def do_GET(self) -> None:
        if self.content is None:
            self._head(500, 0)
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "") if self.in_parts else "")
        part = self.content[int(asked[1]) : int(asked[2]) + 1] if asked else self.content
        self._head(206 if asked else 200, len(part))
        self.wfile.write(part)

    def _head(self, status: int, length: int) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(length)), *self.told):
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.mark.parametrize(("name", "made"), [("a.parquet", as_parquet), ("a.txt", as_lines), ("a.csv", as_csv)])
def test_files_are_read_over_a_network(name, made, options, scorer, texts, expected, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (_Ranges,), {"content": made(texts)})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        run_here(options(input=(f"http://127.0.0.1:{server.server_port}/{name}",), shard_bytes=1 << 10), scorer)
        server.RequestHandlerClass.content = None  # each request fails from now on
        with pytest.raises(InputError, match="a.* cannot be read|a.* changed while"):
            run_here(
                options(input=(f"http://127.0.0.1:{server.server_port}/{name}",), output_dir=tmp_path / "o"), scorer
            )
        server.shutdown()
    assert [row for _, row in answers(tmp_path / "out")] == expected
    assert json.loads((tmp_path / "out" / "manifest.jsonl").read_text().splitlines()[0])["source_version"] == '"1"'


@contextlib.contextmanager
def served(**how):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("", (_Ranges,), how)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.RequestHandlerClass, f"http://127.0.0.1:{server.server_port}/a.txt"
        server.shutdown()


def test_a_file_over_http_that_changed_is_told_by_its_time(options, scorer, texts, tmp_path, capsys):
    with served(content=as_lines(texts), told=(("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"),)) as (handler, url):
        given = options(input=(url,))
        run_here(given, scorer)
        handler.told = (("Last-Modified", "Mon, 01 Jan 2024 00:00:01 GMT"),)
        with pytest.raises(InputError, match="has changed, or is gone"):
            run_here(given, scorer)
        handler.told = ()
        assert find_sources(given)[0].version == ""
    assert "with neither time nor ETag" in capsys.readouterr().err


def test_a_server_that_sends_no_parts_is_refused(options, scorer):
    with served(content=b"good\n" * 2_000_000, in_parts=False) as (_, url):
        assert len(shards_of(options(input=(url,), shard_bytes=1 << 24), scorer.predictor.bundle)) == 1
        with pytest.raises(SourceError, match="the server sends no parts .* fetch the file first"):
            shards_of(options(input=(url,)), scorer.predictor.bundle)


def test_links_are_followed_and_their_targets_watched(options, scorer, tmp_path, capsys):
    for name in ("day/b.txt", "far/c.txt", "in/a/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("good\n")
    links = {
        "l.txt": tmp_path / "day/b.txt",
        "day": tmp_path / "day",
        "d.txt": tmp_path / "far",
        "z": tmp_path / "in/a",
    }
    for name, target in {**links, "self": "."}.items():
        (tmp_path / "in" / name).symlink_to(target)
    given = options()
    assert [source.name for source in find_sources(given)] == ["a/x.txt", "d.txt/c.txt", "day/b.txt", "l.txt"]
    assert capsys.readouterr().err.count("which is read already; passed over") == 2
    in_pattern = find_sources(options(input=(str(tmp_path / "in" / "*" / "*.txt"),)))
    assert [source.name for source in in_pattern] == ["a/x.txt", "d.txt/c.txt", "day/b.txt"]
    assert [source.name for source in find_sources(options(input=(str(tmp_path / "in" / "*.txt"),)))] == ["l.txt"]
    run_here(given, scorer)
    os.utime(tmp_path / "day" / "b.txt", (1, 1))
    with pytest.raises(InputError, match="has changed, or is gone"):
        run_here(given, scorer)


def test_a_path_that_is_there_is_no_chain_of_file_systems(options, tmp_path):
    for name in ("day.txt", "day.txt::old.txt", "d::e/f.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("good\n")
    for given, name in (("day.txt::old.txt", "day.txt::old.txt"), ("d::e", "f.txt"), ("d::e/*.txt", "f.txt")):
        (source,) = find_sources(options(input=(str(tmp_path / "in" / given),)))
        assert source.name == name
        source.check_unchanged()


@pytest.mark.parametrize("made", ["link", "pipe", "name"])
def test_what_cannot_be_read_twice_or_named_is_refused(made, options, tmp_path):
    path = tmp_path / "in" / "a.txt"
    if made == "name":
        open(os.fsencode(tmp_path / "in") + b"/\xff.txt", "w").close()
    else:
        os.mkfifo(path) if made == "pipe" else path.symlink_to("nowhere")
    with pytest.raises(
        InputError, match=r"a.txt cannot be read: .Errno 2. No such file|a.txt is no file|udcff.txt' is not UTF-8"
    ):
        find_sources(options())
