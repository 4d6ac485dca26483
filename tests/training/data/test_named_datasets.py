"""Datasets that train.py --dataset fetches by name."""

import hashlib
import http.server
import io
import socket
import tarfile
import threading

import pytest

from pipeline.errors import EnvironmentFault, InputError
from pipeline.files.dataset import read_examples, read_labels
from pipeline.labels.hierarchy import LabelHierarchy
from training.data import named_datasets
from training.data.named_datasets import dataset_folder, download, wos_rows


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Empty caches of this project and of paddlenlp."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PPNLP_HOME", str(tmp_path / "paddlenlp"))
    return tmp_path


def test_without_the_internet_the_error_says_what_to_fetch_and_how_to_go_on(homes, monkeypatch):
    with socket.socket() as closed:  # a port that refuses
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(named_datasets, "WOS_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/wos.tar.gz")
        with pytest.raises(EnvironmentFault) as caught:
            dataset_folder("wos")
    for part in (
        "Connection refused",
        "10.17632/9rw3vkcfy4.6",
        "python training/wos.py --release_dir WebOfScience/WOS46985 --save_dir data/wos",
        "--dataset_dir data/wos",
    ):
        assert part in str(caught.value)
    assert [path.name for path in homes.rglob("*") if path.is_file()] == [".wos.lock"]


def test_an_unknown_name_is_refused(homes):
    with pytest.raises(InputError, match="unknown --dataset 'wso'; known are wos"):
        dataset_folder("wso")


def test_a_dataset_that_is_kept_is_not_fetched_again(homes):
    kept = homes / "cache" / "hierarchical-text-classifier" / "datasets" / "wos"
    kept.mkdir(parents=True)
    (kept / "label.txt").touch()
    assert dataset_folder("wos") == kept


def test_a_server_that_never_answers_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="timed out"):
        download(f"http://127.0.0.1:{silent.getsockname()[1]}/wos.tar.gz", tmp_path / "wos.tar.gz", 0.2)
    assert list(tmp_path.iterdir()) == []


class Archive(http.server.BaseHTTPRequestHandler):
    """Serves the server's `content`, and promises its `length`."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.length))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def url(content, length=None):
        server.content, server.length = content, length or len(content)
        return f"http://127.0.0.1:{server.server_address[1]}/wos.tar.gz"

    yield url
    server.shutdown()
    server.server_close()


def test_a_download_that_ends_early_is_no_file(tmp_path, serve):
    with pytest.raises(OSError, match="90 bytes early"):
        download(serve(b"0123456789", length=100), tmp_path / "wos.tar.gz")
    assert list(tmp_path.iterdir()) == []


def test_paddlenlps_loader_gives_a_dataset_folder_that_is_kept(homes, monkeypatch, serve):
    from paddlenlp.datasets import wos

    assert named_datasets.WOS_URL == wos.WOS.URL
    assert named_datasets.WOS_ARCHIVE.parts[1:] == (wos.WOS.__name__, "wos.tar.gz")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for part, area in (("train", "Machine learning"), ("dev", "Cryptography"), ("test", "Data structures")):
            content = f"Abstract of {part}.\tCS\t{area}\nAnother.\tMedical\tAsthma\n".encode()
            member = tarfile.TarInfo(f"wos/{part}.tsv")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(named_datasets, "WOS_URL", serve(packed.getvalue()))
    monkeypatch.setattr(wos, "DATA_HOME", str(homes / "paddlenlp" / "datasets"))  # it reads PPNLP_HOME when imported
    monkeypatch.setattr(wos.WOS, "MD5", hashlib.md5(packed.getvalue()).hexdigest())
    folder = dataset_folder("wos")
    labels = read_labels(folder / "label.txt")
    assert len(labels) == 141
    assert [labels.labels[place] for place in next(read_examples(folder / "dev.txt", labels)).labels] == [
        "CS",
        "CS##Cryptography",
    ]
    written = (folder / "train.txt").stat().st_mtime_ns
    assert dataset_folder("wos") == folder
    assert (folder / "train.txt").stat().st_mtime_ns == written


def test_level_names_become_label_paths():
    labels = LabelHierarchy(["CS", "CS##Machine learning", "Medical", "Medical##Asthma"])
    bare = {"sentence": "a\u2028b", "level 1": ["CS"], "level 2": ["Machine learning"]}
    full = {"sentence": "c", "level 1": ["CS", "Medical"], "level 2": ["CS##Machine learning", "Medical##Asthma"]}
    first, second = wos_rows([bare, full], labels)
    assert (first.text, sorted(first.labels)) == ("a b", ["CS", "CS##Machine learning"])
    assert len(second.labels) == 4
    with pytest.raises(InputError, match="row 1 of the wos dataset has the unknown label 'Asthma'"):
        wos_rows([{"sentence": "d", "level 1": ["CS"], "level 2": ["Asthma"]}], labels)
