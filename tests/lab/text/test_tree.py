"""Beam search as a tree: it is the search that ``generate`` carries out, told truly."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from lab.errors import PromptError
from lab.text.decoding import DecodingSettings
from lab.text.models import LanguageModel
from lab.text.rows import Row
from lab.text.strategies import Kind, Strategy
from lab.text.tree import Node, Tree, grow
from tests.lab.text.conftest import CONTEXT, END_OF_TEXT, reference, tiny_gpt2
from tests.tiny import language_model_of

PROMPT = "The old house had"
CASES = [(2, 5, 1.0), (3, 6, 1.0), (6, 4, 1.0), (6, 12, 0.0), (3, 9, -2.0), (4, 7, 2.0), (2, 1, 1.0)]


@pytest.fixture(scope="module")
def ending_network(tiny_tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """A model that likes to end its texts, so that beams end at different lengths."""
    return tiny_gpt2(len(tiny_tokenizer), seed=3, end_bias=1.3)


@pytest.fixture(scope="module")
def ending_model(ending_network: GPT2LMHeadModel, tiny_tokenizer: PreTrainedTokenizerFast) -> Iterator[LanguageModel]:
    model = language_model_of(ending_network, tiny_tokenizer)
    yield model
    model.engine.close()


def settings_of(num_beams: int, beam_steps: int, length_penalty: float = 1.0) -> DecodingSettings:
    return DecodingSettings(prompt=PROMPT, num_beams=num_beams, beam_steps=beam_steps, length_penalty=length_penalty)


def path(tree: Tree, node: Node) -> list[Node]:
    """Return the nodes from the first token to this one."""
    nodes: list[Node] = []
    while node.parent is not None:
        nodes.append(node)
        node = tree.nodes[node.parent]
    return nodes[::-1]


def ids_of(tree: Tree, node: Node) -> list[int]:
    return [step.token for step in path(tree, node)]


def winner_of(tree: Tree) -> Node:
    return max((node for node in tree.nodes if node.best), key=lambda node: node.step)


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, case)))
def case(request: pytest.FixtureRequest) -> DecodingSettings:
    return settings_of(*request.param)


@pytest.fixture(params=["going on", "ending"])
def pair(request: pytest.FixtureRequest) -> tuple[LanguageModel, GPT2LMHeadModel]:
    names = ("language_model", "network") if request.param == "going on" else ("ending_model", "ending_network")
    return tuple(map(request.getfixturevalue, names))


def test_the_winner_is_what_generate_finds(pair: tuple[LanguageModel, GPT2LMHeadModel], case: DecodingSettings) -> None:
    model, network = pair
    tree = grow(model, case)
    prompt = model.vocabulary.encode(PROMPT)
    beam = Strategy(kind=Kind.BEAM, num_beams=case.num_beams, length_penalty=case.length_penalty)
    found = reference(network, Row(prompt, beam, max_new_tokens=case.beam_steps))
    assert ids_of(tree, winner_of(tree)) == found
    assert tree.text == model.vocabulary.text(found)
    greedy = reference(network, Row(prompt, max_new_tokens=case.beam_steps))
    assert tree.greedy_text == model.vocabulary.text(greedy)
    for ids, log_probability in ((found, tree.log_probability), (greedy, tree.greedy_log_probability)):
        with torch.inference_mode():
            table = network(torch.tensor([[*prompt, *ids]])).logits[0].float().log_softmax(-1)[len(prompt) - 1 :]
        assert log_probability == pytest.approx(sum(float(table[n, i]) for n, i in enumerate(ids)), abs=1e-3)


def test_the_tree_is_one(pair: tuple[LanguageModel, GPT2LMHeadModel], case: DecodingSettings) -> None:
    tree = grow(pair[0], case)
    root, *others = tree.nodes
    assert (root.step, root.parent, root.token, root.score, root.kept) == (0, None, None, 0.0, True)
    for place, node in enumerate(others, 1):
        assert node.parent is not None
        assert node.parent < place  # every parent before its child
        parent = tree.nodes[node.parent]
        assert node.step == parent.step + 1
        assert parent.kept  # what was dropped has no children
        assert parent.token != END_OF_TEXT
        assert 0 <= node.probability <= 1
    assert max(node.step for node in others) <= case.beam_steps
    children = Counter((node.parent, node.token) for node in others)
    assert set(children.values()) == {1}  # no continuation twice


def test_scores_are_sums(pair: tuple[LanguageModel, GPT2LMHeadModel], case: DecodingSettings) -> None:
    model, network = pair
    tree = grow(model, case)
    prompt = model.vocabulary.encode(PROMPT)
    for node in tree.nodes[1:]:
        steps = path(tree, node)
        assert node.score == pytest.approx(sum(torch.tensor(s.probability).log().item() for s in steps), abs=1e-3)
        assert node.label == model.vocabulary.label(node.token)
    winner = winner_of(tree)
    assert winner.score == pytest.approx(tree.log_probability, abs=1e-3)
    with torch.inference_mode():
        first = network(torch.tensor([prompt])).logits[0, -1].float().log_softmax(-1)
    for node in tree.nodes[1:]:
        if node.step == 1:
            assert node.score == pytest.approx(float(first[node.token]), abs=1e-4)


def test_at_each_step_so_many_go_on(pair: tuple[LanguageModel, GPT2LMHeadModel], case: DecodingSettings) -> None:
    tree = grow(pair[0], case)
    last = max(node.step for node in tree.nodes)
    for step in range(1, last + 1):
        nodes = [node for node in tree.nodes if node.step == step]
        assert len(nodes) == 2 * case.num_beams  # a reserve, in case the best ones end
        assert [node.score for node in nodes] == sorted((node.score for node in nodes), reverse=True)
        going_on = [node for node in nodes if node.kept and node.token != END_OF_TEXT]
        if step < last:
            assert len(going_on) == case.num_beams
            assert all(node.kept for node in nodes[: case.num_beams] if node.token == END_OF_TEXT)
        if step == case.beam_steps:
            assert sum(node.kept for node in nodes) == case.num_beams  # the best ones are the texts found


def test_texts_that_end_are_among_the_cases(ending_model: LanguageModel) -> None:
    lengths = set()
    for case in CASES:
        tree = grow(ending_model, settings_of(*case))
        lengths.add(case[1] - winner_of(tree).step)
        assert any(node.token == END_OF_TEXT for node in tree.nodes) or case[1] == 1
    assert len(lengths) > 2  # some winners stopped early


def test_the_winner_is_one_path(pair: tuple[LanguageModel, GPT2LMHeadModel], case: DecodingSettings) -> None:
    tree = grow(pair[0], case)
    best = [place for place, node in enumerate(tree.nodes) if node.best]
    assert [tree.nodes[place].step for place in best] == list(range(len(best)))
    for before, after in itertools.pairwise(best):
        assert tree.nodes[after].parent == before
    assert all(tree.nodes[place].kept for place in best)


def test_a_prompt_that_is_too_long_is_cut_with_a_note(language_model: LanguageModel, network: GPT2LMHeadModel) -> None:
    prompt = "word after word " * 30
    tree = grow(language_model, DecodingSettings(prompt=prompt, num_beams=3, beam_steps=5))
    assert any("only its end is read" in note for note in tree.notes)
    ids = language_model.vocabulary.encode(prompt.rstrip())[-(CONTEXT - 5) :]
    found = reference(network, Row(ids, Strategy(kind=Kind.BEAM, num_beams=3), max_new_tokens=5))
    assert ids_of(tree, winner_of(tree)) == found
    assert grow(language_model, settings_of(2, 2)).notes == ()


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_nothing_to_continue(language_model: LanguageModel, prompt: str) -> None:
    with pytest.raises(PromptError):
        grow(language_model, DecodingSettings(prompt=prompt))
