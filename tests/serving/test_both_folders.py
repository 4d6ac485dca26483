"""What both servers' folders hold after publishing and rolling back, with no server running."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from pipeline.errors import BundleError, InputError, ServerError
from pipeline.files.bundle import Bundle, seal
from serving import publish, rollback, versions
from serving.paddle.deployment import PaddleDeployment
from serving.publish import PublishOptions
from serving.servers import ServerOptions
from serving.triton.deployment import TritonDeployment
from serving.triton.repository import ModelRepository
from tests.serving.bundles import renamed_bundle
from training.options import PublishingOptions


@pytest.fixture
def folders(tmp_path):
    """Both folders without servers, and the options that name them."""
    places = {"model_repository": tmp_path / "repository", "state_dir": tmp_path / "state"}
    return (
        places,
        TritonDeployment(ModelRepository(tmp_path / "repository")),
        PaddleDeployment(tmp_path / "repository.paddle"),
    )


def test_numbers_stand_for_one_publication_whichever_servers_it_is_for(folders, bundle_path):
    places, triton, paddle = folders
    for only in ("triton", None, "paddle"):
        publish.publish(PublishOptions(bundle=bundle_path, only=only, again=True, **places))
    assert [version.number for version in triton.versions()] == [1, 2]
    assert [version.number for version in paddle.versions()] == [2, 3]


def test_going_back_to_a_bundle_that_one_server_never_had_is_refused(folders, bundle, other):
    places, triton, paddle = folders
    for path, only in ((other.path, "triton"), (bundle.path, None)):
        publish.publish(PublishOptions(bundle=path, only=only, **places))
    message = f"Paddle Serving holds no version of bundle {other.identity}, which is version 1 of the other server"
    with pytest.raises(InputError, match=message):
        rollback.roll_back(rollback.RollbackOptions(**places))
    assert (triton.live().number, paddle.live().number) == (2, 2)
    rollback.roll_back(rollback.RollbackOptions(only="triton", **places))
    assert (triton.live().number, paddle.live().number) == (1, 2)
    with pytest.raises(InputError, match="there is no version 9 in .*; versions there: 1, 2"):
        rollback.roll_back(rollback.RollbackOptions(version=9, **places))


def test_what_is_published_for_one_server_alone_concerns_no_other(folders, bundle_path):
    places, triton, paddle = folders
    for _ in range(2):
        publish.publish(PublishOptions(bundle=bundle_path, only="triton", again=True, **places))
    rollback.roll_back(rollback.RollbackOptions(**places))
    assert triton.live().number == 1
    assert not paddle.path.exists()


def test_what_is_live_already_is_published_again_only_where_something_differs(folders, bundle_path, monkeypatch):
    places, triton, paddle = folders

    def numbers(**changes):
        done = publish.publish(PublishOptions(bundle=bundle_path, **changes, **places))
        return [each.version.number for each in done if each.new]

    assert numbers() == [1, 1]
    assert numbers() == []
    (said, _) = map(str, publish.publish(PublishOptions(bundle=bundle_path, **places)))
    assert said.endswith("is live already as version 1 (onnxruntime, float32); --again publishes it once more")
    (said, _) = map(str, publish.publish(PublishOptions(bundle=bundle_path, note="before the sale", **places)))
    assert said.endswith("--again publishes it once more, with the --note that is given")
    assert numbers(note="before the sale", again=True) == [2, 2]
    assert numbers(note="before the sale") == []
    assert numbers(max_batch_size=64) == [3, 3]
    assert numbers(max_batch_size=64, only="triton") == []
    assert numbers(again=True, only="triton") == [4]
    monkeypatch.setattr("serving.deployment.software", lambda: "changed")
    assert numbers(only="paddle") == [5]


def spoil(*files):
    for file in files:
        file.write_text("")


def test_what_is_live_and_damaged_is_published_again(folders, bundle_path):
    places, triton, paddle = folders
    publish.publish(PublishOptions(bundle=bundle_path, **places))

    def live():
        """The number of Triton's live version."""
        return triton.live().number

    spoilt = [
        lambda: spoil(triton.path / "seqcls_model" / str(live()) / "bundle.json"),
        lambda: spoil(triton.path / "tokenizer" / str(live()) / "model.py"),
        lambda: (triton.path / "tokenizer" / str(live()) / "pipeline" / "errors.py").unlink(),
        lambda: spoil(triton.path / "seqcls_postprocess" / "config.pbtxt"),
        lambda: (triton.path / "seqcls_model" / "config.pbtxt").write_text("max_batch_size: nothing"),
        lambda: (triton.path / "seqcls" / "1").rmdir(),
    ]
    for number, damage in enumerate(spoilt, 2):
        damage()
        publish.publish(PublishOptions(bundle=bundle_path, only="triton", **places))
        assert live() == number
    spoil(paddle.path / "live" / "config.yml")
    publish.publish(PublishOptions(bundle=bundle_path, only="paddle", **places))
    assert paddle.live().number == number + 1


def test_a_damaged_version_is_shown_passed_over_and_not_taken_back(folders, bundle_path):
    places, triton, paddle = folders
    for _ in range(4):
        publish.publish(PublishOptions(bundle=bundle_path, again=True, **places))
    record = triton.path / "seqcls_model" / "2" / "version.json"
    record.write_text(record.read_text().replace('"number": 2', '"number": 4'))
    (paddle.path / "3" / "published.json").write_text("{")
    for model in ("seqcls_model", "seqcls_postprocess"):
        spoil(triton.path / model / "1" / "model.py")
    lines = list(versions.versions(ServerOptions(**places)))
    assert [line[:12].split() for line in lines if line[:4].strip().isdigit()] == [
        *(["1"], ["3"], ["4", "live"], ["2"]),
        *(["1"], ["2"], ["4", "live"], ["3"]),
    ]
    assert sum("is damaged (" in line for line in lines) == 2
    reasons = {2: "its number is 4, and its folder's 2", 3: "is damaged", 1: r"1/model\.py is damaged"}
    for number, reason in reasons.items():
        with pytest.raises(BundleError, match=reason):
            rollback.roll_back(rollback.RollbackOptions(version=number, **places))
    assert [triton.live().number, paddle.live().number] == [4, 4]
    rollback.roll_back(rollback.RollbackOptions(only="triton", **places))
    assert triton.live().number == 3
    publish.publish(PublishOptions(bundle=bundle_path, again=True, **places))
    assert [triton.live().number, paddle.live().number] == [5, 5]
    assert record.exists()


def test_a_bundle_that_says_nothing_of_its_training_is_published(folders, bundle, tmp_path):
    places, *_ = folders
    shutil.copytree(bundle.path, tmp_path / "silent")
    silent = seal(tmp_path / "silent", replace(bundle.manifest, training={"data": None}, metrics={"dev": None}))
    (done,) = publish.publish(PublishOptions(bundle=silent.path, only="triton", **places))
    assert done.version.about == "scratch-tiny"


def test_publishing_says_what_callers_will_miss(folders, bundle, tmp_path, capsys):
    places, *_ = folders
    publish.publish(PublishOptions(bundle=bundle.path, only="triton", **places))
    worse = renamed_bundle(bundle, tmp_path / "renamed", "新")
    data = {**worse.manifest.training["data"], "folder": "orders"}
    changed = replace(worse.manifest, metrics={"dev": {"micro_f1": 0.1}}, training={"data": data})
    seal(worse.path, changed)
    words = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    publish.main(["--bundle", str(worse.path), "--only", "triton", *words])
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: unlike version 1, ")]
    first = bundle.manifest.labels
    assert said[0].startswith(f"note: unlike version 1, which was live: labels that are gone: {sorted(first)[0]}, ")
    assert said[1].startswith("note: unlike version 1, which was live: new labels: 新")
    assert "it learnt from orders, not from data" in said[2]
    assert "its dev micro F1 is 0.1000, and that version's" in said[3]
    said = PublishingOptions(model_repository=places["model_repository"]).publish(bundle.path)
    assert [line for line in said if line.startswith("note: unlike version 2, which was live: new labels: ")]


def test_going_back_says_what_callers_will_miss(folders, bundle, tmp_path, capsys):
    places, *_ = folders
    for path in (bundle.path, renamed_bundle(bundle, tmp_path / "renamed", "新").path):
        publish.publish(PublishOptions(bundle=path, only="triton", **places))
    words = [word for name, place in places.items() for word in (f"--{name}", str(place))]
    rollback.main(["--only", "triton", *words])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Triton: version 1 ")
    assert lines[1].startswith("note: unlike version 2, which was live: labels that are gone: 新")
    rollback.main(["--only", "triton", "--forward", *words])
    assert "which was live: new labels: 新" in capsys.readouterr().out


def test_versions_say_what_each_is(folders, bundle_path):
    places, *_ = folders
    publish.publish(PublishOptions(bundle=bundle_path, only="triton", note="先行发布", **places))
    manifest = Bundle(bundle_path).manifest
    trained = f"scratch-tiny on {manifest.training['data']['folder']}"
    lines = list(versions.versions(ServerOptions(only="triton", **places)))
    (live,) = (number for number, line in enumerate(lines) if " live " in line)
    about = f"            {trained}, dev micro F1 {manifest.metrics['dev']['micro_f1']:.4f}; 先行发布"
    assert lines[live + 1] == about
    assert len(lines[live]) <= 80
    with pytest.raises(InputError, match="give one line without control characters"):
        PublishOptions(note="a\x1b[31m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "Paddle Serving computes no int8; .*; or publish with --only triton"),
        ({"precision": "bfloat16"}, "gate has not passed bfloat16 in paddle .*; or publish with --only triton"),
        ({"device": "gpu", "runtime": "openvino"}, "no openvino computes .* on gpu; .*; or publish with --only paddle"),
        ({"only": "paddle", "backend": "native"}, "--backend is not for paddle; leave it out with --only paddle"),
        ({"only": "triton", "workers": 5}, "--workers is not for triton"),
        ({"only": "paddle", "server": ("127.0.0.1:8000",)}, "--server is for Triton; leave it out with --only paddle"),
        ({"server": ("127.0.0.1",)}, "--server is '127.0.0.1'; give the HTTP address with its port"),
        ({"server": ("127.0.0.1:99999",)}, "--server is '127.0.0.1:99999'"),
        ({"devices": "²"}, "--devices is '²'; give numbers of GPUs"),
        ({"keep": 0}, "--keep is 0; give a whole number, at least 1"),
        (
            {"max_batch_size": 3_000_000_000},
            "--max_batch_size is 3000000000; give a whole number",
        ),
        ({"workers": 10**20}, "--workers is a number of 67 bits, which is too large; give a whole number"),
        ({"paddle_folder": "{model_repository}/paddle"}, "--paddle_folder .* lies in the model repository"),
    ],
)
def test_a_wish_that_a_server_cannot_fulfil_is_refused(options, message, folders, bundle_path):
    places, triton, paddle = folders
    if "paddle_folder" in options:
        options = {"paddle_folder": options["paddle_folder"].format(**places)}
    with pytest.raises(InputError, match=message):
        publish.publish(PublishOptions(bundle=bundle_path, **options, **places))
    assert not triton.path.exists()
    assert not paddle.path.exists()


def test_each_server_gets_the_best_that_it_is_allowed(folders, bundle_path):
    """What is asked of one server alone leaves the other as it is by default."""
    places, triton, paddle = folders
    publish.publish(PublishOptions(bundle=bundle_path, backend="native", threads=1, workers=3, **places))
    assert triton.live().options.engine == "native onnxruntime"
    assert paddle.live().options.engine == "paddle"
    assert (triton.live().options.threads, paddle.live().options.threads) == (1, 1)
    assert paddle.live().options.workers == 3


def test_a_server_that_refuses_the_version_leaves_the_other_alone(folders, bundle_path, monkeypatch):
    places, triton, paddle = folders
    publish.publish(PublishOptions(bundle=bundle_path, **places))

    def refuse(self, version):
        raise ServerError("it does not load")

    monkeypatch.setattr(TritonDeployment, "make_live", refuse)
    with pytest.raises(ServerError, match=r"Triton: it does not load; nothing has changed .*--only paddle leaves"):
        publish.publish(PublishOptions(bundle=bundle_path, again=True, **places))
    assert (triton.live().number, paddle.live().number) == (1, 1)
    assert [len(each.versions()) for each in (triton, paddle)] == [1, 1]
