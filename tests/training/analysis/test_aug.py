"""New rows keep their labels, differ from all others, and are the same for the same seed."""

import json

import pytest

from pipeline.errors import ClassifierError
from pipeline.files.dataset import Example, read_examples, write_examples, write_labels, write_texts
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis import aug
from training.analysis.rewriting.telling_words import TellingWords
from training.analysis.rewriting.words import segmenter

HIERARCHY = LabelHierarchy(["灾害", "灾害##车祸", "人生", "人生##结婚"])
CHINESE = [
    f"{day}有人在{city}{what}"
    for what in ("遭遇车祸", "举行结婚仪式")
    for day in ("昨天", "今天", "上周")
    for city in ("北京", "上海")
]
ENGLISH = [
    f"{opener} {what} {city}"
    for what in ("take a flight to", "check the weather in")
    for opener in ("please", "I want to", "could you")
    for city in ("Boston", "Denver")
]
TOLD = {"车祸": (0, 1), "结婚": (2, 3), "flight": (0, 1), "weather": (2, 3)}
WORDS = {"遭遇": ["发生"], "举行": ["举办"], "北京": ["京城"], "昨天": ["昨日"], "want": ["like"], "to": ["towards"]}
STRATEGIES = ("substitute", "insert", "delete", "swap", "mix")


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path, CHINESE)


def write(folder, texts):
    write_labels(folder / "label.txt", HIERARCHY)
    write_examples(folder / "train.txt", labelled(texts), HIERARCHY)
    write_texts(folder / "data.txt", [f"{text}。" for text in texts] * 5)
    return folder


def labelled(texts):
    return [Example(text, (0, 1) if row < len(texts) / 2 else (2, 3)) for row, text in enumerate(texts)]


def augment(folder, *options):
    target = folder / "aug.txt"
    aug.main(["--train_path", str(folder / "train.txt"), "--aug_path", str(target), *map(str, options)])
    return list(read_examples(target, HIERARCHY))


@pytest.mark.parametrize("texts", [CHINESE, ENGLISH], ids=["Chinese", "English"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy(tmp_path, texts, strategy):
    words = tmp_path / "words.json"
    words.write_text(json.dumps(WORDS))
    folder = write(tmp_path, texts)
    options = ("--aug_strategy", strategy, "--aug_percent", 0.3, "--word_file", words)
    made = augment(folder, *options)
    first = (folder / "aug.txt").read_bytes()
    assert made
    assert len({row.text for row in made}) == len(made)
    assert not {row.text for row in made} & set(texts)
    for row in made:
        assert row.labels in {labels for word, labels in TOLD.items() if word in row.text}  # still there, still right
    augment(folder, *options)
    assert (folder / "aug.txt").read_bytes() == first
    assert [row.text for row in augment(folder, *options, "--seed", 4)] != [row.text for row in made]


def test_words_that_tell_a_label_stay_and_those_of_other_labels_do_not_come():
    segment = segmenter(True)
    telling = TellingWords(labelled(CHINESE), map(segment, CHINESE), HIERARCHY)
    assert telling.tell_of("遭遇", (0, 1))
    assert not telling.tell_of("遭遇", (2, 3))
    assert not telling.tell_of("北京", (0, 1))
    assert telling.tell_of("结婚", (2, 3))
    assert not telling.fits("结婚", (0, 1))
    assert telling.fits("不曾见过", (0, 1))


def test_substitutes_are_found_in_the_texts(tmp_path):
    folder = write(tmp_path, CHINESE)
    days = ("昨天", "今天", "上周", "周三")
    write_texts(folder / "data.txt", [f"{day}有人在{city}开会" for day in days for city in ("北京", "上海")] * 5)
    made = augment(folder, "--aug_percent", 0.5, "--create_n", 3)
    assert any(row.text.startswith("周三有人") for row in made)  # which no training row does


def test_homonyms_sound_alike(folder):
    from pypinyin import lazy_pinyin

    write_texts(folder / "data.txt", ["背景", "商海", "先步", "造城"] * 6)
    made = augment(folder, "--aug_type", "homonym", "--aug_percent", 0.5)
    sounds = {tuple(lazy_pinyin(text)) for text in CHINESE}
    assert made
    assert {tuple(lazy_pinyin(row.text)) for row in made} <= sounds


@pytest.fixture(scope="module")
def masked_model(tmp_path_factory):
    """A masked language model that knows nothing, and so guesses anything."""
    from paddlenlp.transformers import ErnieConfig, ErnieForMaskedLM, ErnieTokenizer

    folder = tmp_path_factory.mktemp("masked")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(CHINESE))), *"风云水火山石田土"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    ErnieTokenizer(str(folder / "vocab.txt")).save_pretrained(str(folder))
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    ErnieForMaskedLM(ErnieConfig(vocab_size=len(words), **shape)).save_pretrained(str(folder))
    return folder


def test_a_masked_language_model_fills_gaps(folder, masked_model):
    options = ("--aug_type", "mlm", "--mlm_path", masked_model, "--device", "cpu", "--aug_percent", 0.4)
    made = augment(folder, *options)
    assert made
    assert {len(row.text) for row in made} <= {len(text) for text in CHINESE}  # a mask for each character
    first = (folder / "aug.txt").read_bytes()
    augment(folder, *options)
    assert (folder / "aug.txt").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--aug_percent", 0), "--aug_percent is 0.0"),
        (("--create_n", 0), "--create_n is 0"),
        (("--aug_type", "mlm"), "give its folder as --mlm_path"),
        (("--aug_type", "mlm", "--mlm_path", "nowhere"), "nowhere is no folder"),
        (("--word_file", "nowhere.json"), "cannot read nowhere.json"),
        (("--unlabelled_file", "none.txt"), "cannot read .*none.txt"),
    ],
)
def test_what_cannot_be_done_is_named(folder, options, message):
    with pytest.raises(ClassifierError, match=message):
        augment(folder, *options)
    assert not (folder / "aug.txt").exists()


def test_the_usual_file_of_texts_may_be_absent_unless_it_is_asked_for(folder):
    (folder / "data.txt").unlink()
    augment(folder)
    with pytest.raises(ClassifierError, match=r"cannot read .*data\.txt"):
        augment(folder, "--unlabelled_file", "data.txt")


@pytest.mark.parametrize("content", ["[]", "{", '{"a": "b"}', '{"a": ["b\\n"]}', '{"a": [""]}'])
def test_a_word_file_that_is_none(folder, content):
    (folder / "words.json").write_text(content)
    with pytest.raises(ClassifierError, match=r"words\.json"):
        augment(folder, "--word_file", folder / "words.json")
