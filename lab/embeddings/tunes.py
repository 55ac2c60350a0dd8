"""Melodies on a map: the folk-song model's own embedding of a tune, its mean hidden state, layer by layer.

Hidden state 0 is what the token and position embeddings say, before any block; the last one is what the output reads.
The map that ships was computed by training/melody_map.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.embeddings.geometry import Projection, pca, unit
from lab.embeddings.settings import Method
from lab.music.corpus import Collection, Split, load_split
from lab.music.melody import Melody
from lab.music.tokens import read

if TYPE_CHECKING:
    from transformers import GPT2LMHeadModel

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "melody-map"
HEADER = 3  # tokens before the notes; what they say is not counted as music
WIDEST = 12  # semitones; wider intervals count as this wide
FOLDS = 5
PENALTY = 0.01  # C of scikit-learn: many directions, few tunes
REAL = {"folk": "Folk songs", "bach": "Chorales"}


@dataclass(frozen=True)
class TunePoint:
    """A tune on the map.

    Attributes:
        kind: ``folk`` or ``bach`` for real tunes, ``machine-`` and the voice for a machine's.
        id: of a real tune in its collection.
        tokens: of a machine's tune, empty for a real one, which is read from its collection.
    """

    kind: str
    title: str
    id: str = ""
    tokens: tuple[str, ...] = ()

    @property
    def is_real(self) -> bool:
        """Whether a person wrote it."""
        return self.kind in REAL

    @property
    def melody(self) -> Melody:
        """The tune in C major or A minor. Raises LookupError if its collection does not have it any more."""
        if self.tokens:
            return read(self.tokens).melody
        for tune in load_split(Collection(self.kind), Split.TEST):
            if tune.id == self.id:
                return tune.melody
        raise LookupError(f"no tune {self.id} in {self.kind}")


@dataclass(frozen=True)
class Separation:
    """How well folk songs and chorales are told apart by some features.

    Attributes:
        auc: area under the ROC curve of a logistic regression, on tunes that it was not fitted on; 0.5 is chance.
        silhouette: of the two collections, by cosine.
        neighbours: share of tunes whose nearest other tune is of the same collection.
    """

    auc: float
    silhouette: float
    neighbours: float


@dataclass(frozen=True)
class TuneMap:
    """Tunes as points, for each layer.

    Attributes:
        embeddings: for each layer (points, width).
        tsne: for each layer (points, 2).
        layers: how well each separates folk songs from chorales.
        intervals: the same for histograms of intervals.
        header: the same for meter, mode and number of phrases alone, which the model reads first.
        near_bach: for each layer, of each machine voice's tunes the share whose nearest real tune is a chorale.
    """

    points: tuple[TunePoint, ...]
    embeddings: tuple[np.ndarray, ...]
    tsne: tuple[np.ndarray, ...]
    layers: tuple[Separation, ...]
    intervals: Separation
    header: Separation
    near_bach: tuple[dict[str, float], ...]

    def projection(self, layer: int, method: Method) -> Projection:
        """Return the points of a layer on a plane."""
        return Projection(self.tsne[layer]) if method is Method.TSNE else pca(self.embeddings[layer], 2)

    def nearest(self, number: int, layer: int) -> tuple[int, float]:
        """Return the number of the tune most like one, and their cosine about the middle of all tunes."""
        rows = unit(self.embeddings[layer] - self.embeddings[layer].mean(axis=0))
        similarities = rows @ rows[number]
        similarities[number] = -np.inf
        best = int(similarities.argmax())
        return best, float(similarities[best])

    def to_json(self) -> dict[str, Any]:
        """Return all but the arrays."""
        return {
            "points": [asdict(point) | {"tokens": _joined(point.tokens)} for point in self.points],
            "layers": [asdict(layer) for layer in self.layers],
            "intervals": asdict(self.intervals),
            "header": asdict(self.header),
            "near_bach": list(self.near_bach),
        }


@cache
def tune_facts(folder: Path = FOLDER) -> tuple[tuple[TunePoint, ...], int]:
    """Return the tunes of the map that ships and its number of layers, without what is heavy; none if it is missing."""
    try:
        facts = json.loads((folder / "map.json").read_text(encoding="utf-8"))
    except OSError:
        return (), 1
    return _points(facts), len(facts["layers"])


def _joined(tokens: Sequence[str]) -> str:
    return " ".join(token.replace(" ", "_") for token in tokens)


def _points(facts: dict[str, Any]) -> tuple[TunePoint, ...]:
    return tuple(
        TunePoint(**point | {"tokens": tuple(t.replace("_", " ") for t in point["tokens"].split())})
        for point in facts["points"]
    )


@cache
def load_tune_map(folder: Path = FOLDER) -> TuneMap:
    """Return the map that ships. Raises OSError if it is missing."""
    from safetensors.numpy import load_file

    facts = json.loads((folder / "map.json").read_text(encoding="utf-8"))
    arrays = load_file(folder / "map.safetensors")
    layers = range(len(facts["layers"]))
    return TuneMap(
        _points(facts),
        tuple(arrays[f"embeddings_{n}"].astype(np.float32) for n in layers),
        tuple(arrays[f"tsne_{n}"] for n in layers),
        tuple(Separation(**one) for one in facts["layers"]),
        Separation(**facts["intervals"]),
        Separation(**facts["header"]),
        tuple(facts["near_bach"]),
    )


def mean_hidden_states(model: GPT2LMHeadModel, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Return for each layer the mean hidden state over a tune's notes, (tunes, width); the header is read, not counted.

    Args:
        sequences: ids of whole tunes, header and end included; what is beyond the model's context is left out.
    """
    import torch

    model.eval()
    rows: list[list[np.ndarray]] = []
    with torch.inference_mode():
        for ids in sequences:
            tokens = torch.tensor([list(ids)[: model.config.n_positions]])
            states = model(tokens, output_hidden_states=True).hidden_states  # layers + 1 of (1, tokens, width)
            rows.append([state[0, HEADER:].mean(dim=0).float().numpy() for state in states])
    return [np.stack(layer) for layer in zip(*rows, strict=True)]


def interval_histograms(melodies: Sequence[Melody]) -> np.ndarray:
    """Return for each melody the shares of its intervals in semitones, (melodies, 25), from -12 to 12."""
    rows = np.zeros((len(melodies), 2 * WIDEST + 1))
    for row, melody in zip(rows, melodies, strict=True):
        steps = np.clip(np.diff(melody.pitches), -WIDEST, WIDEST) + WIDEST
        np.add.at(row, steps, 1 / max(len(steps), 1))
    return rows


def header_features(headers: Sequence[Sequence[str]]) -> np.ndarray:
    """Return mode, meter and number of phrases as ones and zeros, (tunes, different tokens)."""
    names = sorted({token for header in headers for token in header})
    return np.array([[float(name in header) for name in names] for header in headers])


def separation(features: np.ndarray, is_bach: np.ndarray, groups: Sequence[str]) -> Separation:
    """Return how well features tell two kinds of tunes apart.

    Args:
        features: (tunes, width).
        is_bach: (tunes,), of truth values.
        groups: tunes of one group (variants) are never on both sides of a test.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score, silhouette_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, class_weight="balanced", max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    with threadpool_limits(1):
        scores = cross_val_predict(model, features, is_bach, groups=groups, cv=folds, method="decision_function")
    # Cosines about the middle: hidden states of all tunes point much the same way.
    rows = unit(features - features.mean(axis=0))
    similarities = rows @ rows.T
    np.fill_diagonal(similarities, -np.inf)
    same = is_bach[similarities.argmax(axis=1)] == is_bach
    return Separation(
        float(roc_auc_score(is_bach, scores)),
        float(silhouette_score(rows, is_bach, metric="cosine")),
        float(same.mean()),
    )


def share_near_bach(embeddings: np.ndarray, kinds: Sequence[str]) -> dict[str, float]:
    """Return for each kind of machine tunes the share whose nearest real tune is a chorale."""
    rows = unit(embeddings - embeddings.mean(axis=0))
    real = [n for n, kind in enumerate(kinds) if kind in REAL]
    found: dict[str, list[bool]] = {}
    for n, kind in enumerate(kinds):
        if kind not in REAL:
            best = real[int((rows[real] @ rows[n]).argmax())]
            found.setdefault(kind, []).append(kinds[best] == "bach")
    return {kind: sum(hits) / len(hits) for kind, hits in found.items()}
