from benchmarks.quality.pruning_engines import in_percent, means


def test_an_engine_has_the_means_of_its_own_rounds():
    f1 = [in_percent({"micro_f1": micro, "macro_f1": 0.5, "rows": 9}) for micro in (0.9, 0.8, 0.1)]
    rounds = [
        {"engine": engine, "seconds": seconds, "processor seconds": 1.0, "dev": f1[number], "test": f1[0]}
        for number, (engine, seconds) in enumerate((("student", 2.0), ("student", 4.0), ("paddleslim", 9.0)))
    ]
    assert means(rounds, "student") == {
        **{"seconds": 3.0, "processor seconds": 1.0, "dev micro_f1": 85.0, "dev macro_f1": 50.0},
        **{"test micro_f1": 90.0, "test macro_f1": 50.0},
    }
