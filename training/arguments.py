"""Options that several commands share."""

from __future__ import annotations

import argparse

from pipeline.decoding import POLICIES, Decoder, DecodingPolicy, check_thresholds
from training.classifier import Classifier, load_classifier
from training.options import DEVICES


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which trained model, and how it computes; see `chosen_classifier`."""
    add = parser.add_argument
    add("--device", choices=DEVICES, default="gpu", help="what to compute on; a bundle needs cpu (%(default)s)")
    add("--params_path", default="./checkpoint/", help="a checkpoint, its parameter file, or a bundle (%(default)s)")
    add("--max_seq_length", type=int, default=128, help="tokens per text, as in training (%(default)s)")
    add("--batch_size", type=int, default=32, help="texts of full length that are computed at once (%(default)s)")


def chosen_classifier(args: argparse.Namespace) -> Classifier:
    """The model that `add_model_options` tell of; raises as `load_classifier` does."""
    return load_classifier(args.params_path, args.device, args.max_seq_length, args.batch_size)


DECODING_OPTIONS = ("threshold", "policy", "at_least_one", "top_k")


def add_decoding_options(parser: argparse.ArgumentParser) -> None:
    """How scores become label sets, where not as the model itself says; see `chosen_decoder`."""
    add = parser.add_argument
    add("--threshold", type=float, help="score from which a label counts, for all labels (the model's own)")
    add("--policy", choices=POLICIES, help="how label sets are made consistent (the model's own)")
    add(
        "--at_least_one",
        action=argparse.BooleanOptionalAction,
        help="answer every text with at least one label (the model's own)",
    )
    add("--top_k", type=int, help="at most this many labels per text (the model's own)")


def check_decoding_options(args: argparse.Namespace) -> None:
    """Raise InputError for options that no model can be decoded with, before one is loaded."""
    DecodingPolicy(top_k=args.top_k)
    if args.threshold is not None:
        check_thresholds(args.threshold, 1)


def chosen_decoder(own: Decoder, args: argparse.Namespace) -> Decoder:
    """The model's own decoder, but for what the options of `add_decoding_options` say."""
    return own.changed(**{name: getattr(args, name) for name in DECODING_OPTIONS})
