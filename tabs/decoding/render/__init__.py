"""From results of the Decoding tab to what its components show. Pure functions; all text is escaped."""

from tabs.decoding.render.board import LEGEND, board, empty_board, run_status, token_summary
from tabs.decoding.render.game import GAME_COLUMNS, game, game_table
from tabs.decoding.render.step import STEP_COLUMNS, step_label, step_plot, step_summary, step_table
from tabs.decoding.render.sweep import POINT_COLUMNS, SAMPLE_COLUMNS, sweep_plot, sweep_samples, sweep_table
from tabs.decoding.render.tree import TREE_COLUMNS, tree_plot, tree_summary, tree_table
from tabs.rendering import message, notes_html, plain_markdown, progress

__all__ = [
    "GAME_COLUMNS",
    "LEGEND",
    "POINT_COLUMNS",
    "SAMPLE_COLUMNS",
    "STEP_COLUMNS",
    "TREE_COLUMNS",
    "board",
    "empty_board",
    "game",
    "game_table",
    "message",
    "notes_html",
    "plain_markdown",
    "progress",
    "run_status",
    "step_label",
    "step_plot",
    "step_summary",
    "step_table",
    "sweep_plot",
    "sweep_samples",
    "sweep_table",
    "token_summary",
    "tree_plot",
    "tree_summary",
    "tree_table",
]
