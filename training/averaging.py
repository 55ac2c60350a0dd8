"""Average the weights that several decays of one run have ended in, measure the average and export it.

    python -m training.averaging --models runs/first runs/second runs/third --corpus prose.txt.xz \
        --run runs/prose --out assets/prose-gpt2

The ends of several decays lie around a common low, and their mean lies nearer to it than each of them: stochastic
weight averaging (Izmailov et al., 2018, https://arxiv.org/abs/1803.05407). Only ends of one run can be averaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from training.corpus import VALIDATION_BOOKS
from training.language_model import encoded_corpus, evaluate, export
from training.run_log import RunLog, read_log


def average(folders: Sequence[Path]) -> GPT2LMHeadModel:
    """Return the model whose parameters are the means of those in the folders, each counted alike, in fp32.

    Raises OSError if a folder holds no model, RuntimeError if the models are not of one size.
    """
    models = [GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32) for folder in folders]
    mean = models[0]
    states = [model.state_dict() for model in models]
    with torch.no_grad():
        for name, parameter in mean.named_parameters():
            parameter.copy_(torch.stack([state[name] for state in states]).mean(0))
    return mean


def main(words: Sequence[str] | None = None) -> None:
    """Average, add a line with the average's figures to the run's log, and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders of exported weights")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run that the last of them ended")
    parser.add_argument("--out", type=Path, required=True, help="folder that holds the tokenizer and takes the model")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    model = average(arguments.models)
    tokenizer_file = arguments.out / "tokenizer.json"
    held_out = np.concatenate(encoded_corpus(tokenizer_file, arguments.corpus, arguments.run)[-VALIDATION_BOOKS:])
    figures = evaluate(model, Tokenizer.from_file(str(tokenizer_file)), held_out)
    log = arguments.run / "log.jsonl"
    RunLog(log, read_log(log)[-1]).write(**{f"held_out_{key}": value for key, value in figures.items()})
    export(model, arguments.out)


if __name__ == "__main__":
    main()
