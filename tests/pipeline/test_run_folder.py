from pipeline.run_folder import interrupted


def test_a_model_whose_run_has_not_ended_is_told(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "link").symlink_to("checkpoint")
    assert interrupted(tmp_path / "checkpoint") == ""
    (tmp_path / "checkpoint.resume").mkdir()
    for name in ("checkpoint", "link"):
        said = interrupted(tmp_path / name)
        assert f"checkpoint.resume is of a run that goes on or was interrupted: {tmp_path / name} is its best" in said
