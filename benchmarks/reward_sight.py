"""Why a reward model sees one rule and not another: where in the frozen encoder a rule can still be read.

    python -m benchmarks.reward_sight [--json] [--seeds 3] [--rankings 300]

For each rule a linear head learns from so many rankings of the shipped texts, each time from other features: the mean
of the encoder's hidden states after each of its layers (0 is its input: vectors of word pieces and places), its
sentence embedding, the average of its word vectors, both, and counts of words. Judged on pairs of held-out prompts, all
and by how far the two true scores lie apart. The probe is a ridge regression on the true scores of all the 2,388 texts
of the other prompts: with so much more to learn from, what it cannot tell is not there to be read by a linear head; its
figure is the correlation with the true scores of the held-out texts. About five minutes on one core.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from statistics import mean

import numpy as np
import torch

from benchmarks.report import Figure, parser, report
from benchmarks.reward import held_out_pairs
from lab.embeddings.model import package_folder
from lab.preferences.annotators import ANNOTATORS, Annotator, simulate, words_of
from lab.preferences.bradley_terry import Features
from lab.preferences.fitting import Fit, fit
from lab.preferences.judging import accuracy
from lab.preferences.pairs import Completion, Pairs, pairs_of
from lab.preferences.pool import Pool, load_pool

RULES = ("cheerful", "short-sentences", "dialogue", "elizabethan")
LAYERS = (0, 2, 4, 6)
BATCH = 64
SPREAD = 0.88  # mean distance from their mean of the sentence embeddings: all features are brought to it
LEAST_TEXTS = 5  # that a word occurs in, to be counted
RIDGES = (0.01, 0.1, 1.0, 10.0, 100.0)
FAR = {"cheerful": (1, 2, 3), "short-sentences": (0, 8, 16, 24)}  # differences of true scores


def layers(texts: list[str]) -> np.ndarray:
    """Return the mean hidden state of each text after the layers, (texts, layers, 384)."""
    from transformers import AutoModel, AutoTokenizer

    folder = package_folder()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.zeros((len(texts), len(LAYERS), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            given = tokenizer([texts[row] for row in rows], padding=True, truncation=True, return_tensors="pt")
            states = model(**given, output_hidden_states=True).hidden_states
            mask = given["attention_mask"][..., None].float()
            for place, layer in enumerate(LAYERS):
                found[rows, place] = ((states[layer] * mask).sum(1) / mask.sum(1)).numpy()
    return found


def counts(texts: list[str]) -> np.ndarray:
    """Return how often each word occurs in each text, (texts, words)."""
    found = [Counter(words_of(text)) for text in texts]
    spread = Counter(word for one in found for word in one)
    words = [word for word, number in spread.items() if number >= LEAST_TEXTS]
    return np.array([[one[word] for word in words] for one in found], dtype=float)


def alike(values: np.ndarray) -> np.ndarray:
    """Return features centred, and as far from their mean as sentence embeddings are, so that one L2 suits all."""
    centred = values - values.mean(axis=0)
    return centred * SPREAD / np.linalg.norm(centred, axis=1).mean()


def features(pool: Pool, texts: list[str]) -> dict[str, np.ndarray]:
    """Return all features by their titles, (texts, features) each."""
    states, completions = layers(texts), [Completion("", text) for text in texts]
    own = {
        title: kind.of(completions, pool.embed)
        for title, kind in (
            ("sentence embedding", Features.COMPLETION),
            ("word vectors", Features.WORDS),
            ("both", Features.BOTH),
        )
    }
    of_layers = {f"layer {layer}": alike(states[:, place].astype(float)) for place, layer in enumerate(LAYERS)}
    return {**of_layers, **own, "counts of words": alike(counts(texts))}


def looking_up(texts: list[str], values: np.ndarray) -> Callable[[list[str]], np.ndarray]:
    """Return an embedder that looks texts up."""
    rows = {text: row for row, text in enumerate(texts)}
    return lambda wanted: values[[rows[text] for text in wanted]]


def probe(values: np.ndarray, scores: np.ndarray, held_out: np.ndarray) -> float:
    """Return the correlation of predicted and true scores on the held-out texts, of the best of several ridges."""
    learn, judge = values[~held_out], values[held_out]
    middle = learn.mean(axis=0)
    learn, judge = learn - middle, judge - middle
    square, aim = learn.T @ learn, learn.T @ (scores[~held_out] - scores[~held_out].mean())
    guesses = [judge @ np.linalg.solve(square + ridge * np.eye(len(square)), aim) for ridge in RIDGES]
    return float(max(np.corrcoef(guess, scores[held_out])[0, 1] for guess in guesses))


def by_distance(annotator: Annotator, judge: Pairs, fits: list[Fit]) -> list[Figure]:
    """Return the accuracy of pairs whose true scores lie so far apart, or less than the next step."""
    scores = annotator.scores([one.text for one in judge.completions])
    apart = scores[judge.chosen] - scores[judge.rejected]
    found, slug = [], annotator.name.replace("-", "_")
    for low, high in zip(FAR[annotator.name], (*FAR[annotator.name][1:], np.inf), strict=True):
        rows = (apart >= low) & (apart < high)
        share = mean(accuracy(one.model.margins(judge)[rows], judge.groups[rows]).share for one in fits)
        reach = f"{low} or more" if high == np.inf else f"{low} to below {high}"
        title = f"    from it, scores {reach} apart: {rows.sum()} pairs"
        found.append(Figure(f"{slug}_apart_{low}", title, share))
    return found


def main() -> None:
    """Measure all and print the figures."""
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=3, help="draws of rankings")
    options.add_argument("--rankings", type=int, default=300, help="to learn from")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    pool = load_pool()
    texts = [text for prompt in pool.prompts for text in prompt.texts]
    held_out = np.array([prompt.held_out for prompt in pool.prompts for _ in prompt.texts])
    seen, figures = features(pool, texts), []
    for annotator in (ANNOTATORS[name] for name in RULES):
        judge, scores = held_out_pairs(pool, annotator), annotator.scores(texts)
        slug = annotator.name.replace("-", "_")
        rankings = [simulate(annotator, pool.train, arguments.rankings, seed=1000 * n) for n in range(arguments.seeds)]
        for title, values in seen.items():
            # Of the completion what is looked up, and nothing beside it, such as the default's word vectors.
            embed = looking_up(texts, values)
            fits = [fit(pairs_of(one), embed, features=Features.COMPLETION) for one in rankings]
            share = mean(accuracy(one.model.margins(judge), judge.groups).share for one in fits)
            key = f"{slug}_{title.replace(' ', '_')}"
            figures.append(Figure(key, f"{annotator.title}: {title}", share))
            figures.append(Figure(f"{key}_probe", "    probe, correlation", probe(values, scores, held_out)))
            if title == "sentence embedding" and annotator.name in FAR:
                figures += by_distance(annotator, judge, fits)
    facts = {"rankings": str(arguments.rankings), "draws": str(arguments.seeds), "texts": str(len(texts))}
    report(figures, facts=facts, as_json=arguments.json, save=arguments.save)


if __name__ == "__main__":
    main()
