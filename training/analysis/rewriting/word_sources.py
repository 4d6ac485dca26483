"""The augmenter that the options of a command ask for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.dataset import Example, read_texts
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis.rewriting.augmentation import Augmenter
from training.analysis.rewriting.options import SYNONYM, AugmentationOptions
from training.analysis.rewriting.substitutes import Substitutes, WordList, like_contexts, like_sounds, read_word_list
from training.analysis.rewriting.words import Segmenter, is_chinese, segmenter


def create_augmenter(
    train: Sequence[Example],
    hierarchy: LabelHierarchy,
    options: AugmentationOptions,
    unlabelled: Path | None = None,
) -> Augmenter:
    """An augmenter for texts in the language of the training rows.

    Args:
        train: all training rows.
        hierarchy: their labels.
        options: how texts are changed.
        unlabelled: more texts to learn words from, one per line.

    Raises:
        InputError: a file or a folder does not load, or homonyms are wanted of texts that are not Chinese.
        EnvironmentFault: the machine lacks the device.
    """
    texts = [example.text for example in train]
    chinese = is_chinese(texts)
    segment = segmenter(chinese)
    substitutes: Substitutes = WordList({})
    if options.replaces:
        if options.word_file:
            substitutes = read_word_list(options.word_file)
        elif options.masked_words and options.mlm_path:
            from training.analysis.rewriting.masked_words import MaskedWords

            substitutes = MaskedWords(options.mlm_path, options.device)
        else:
            more = list(read_texts(unlabelled)) if unlabelled else []
            substitutes = _found_in([*texts, *more], segment, options.aug_type, chinese, options.seed)
    return Augmenter(train, hierarchy, segment, substitutes, options)


def _found_in(texts: list[str], segment: Segmenter, aug_type: str, chinese: bool, seed: int) -> WordList:
    if aug_type == SYNONYM:
        return like_contexts(texts, segment, seed)
    if not chinese:
        raise InputError("words of like sound are known for Chinese alone; give --word_file, or another --aug_type")
    return like_sounds(texts, segment)
