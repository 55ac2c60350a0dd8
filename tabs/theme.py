"""The look of the app: a quiet Gradio theme with fonts that every machine has, and the style sheet beside it."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

PAPER, NIGHT = "#faf9f6", "#14171c"
STYLE = Path(__file__).with_name("style.css")
SCREENS = Path(__file__).with_name("screens.css")


def style() -> str:
    """Return the style sheet of the app, then those of the tabs that have one."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (STYLE, *sorted(STYLE.parent.glob("*/style.css"))))


def head() -> str:
    """Return what stands in the page's head: for search engines, link previews, bars of phones; rules for screens."""
    return (
        '<meta name="description" content="Steer and adapt language and music models with your own hands: what is '
        'frozen, what is changed, and why?">'
        f'<meta name="theme-color" content="{PAPER}" media="(prefers-color-scheme: light)">'
        f'<meta name="theme-color" content="{NIGHT}" media="(prefers-color-scheme: dark)">'
        f"<style>{SCREENS.read_text(encoding='utf-8')}</style>"
    )


def theme() -> gr.themes.Base:
    """Return the theme. No web font: a page must need nothing from outside."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange,
        secondary_hue=gr.themes.colors.slate,
        neutral_hue=gr.themes.colors.slate,
        font=["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"],
        font_mono=["ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "monospace"],
        radius_size=gr.themes.sizes.radius_md,
    ).set(
        body_background_fill=PAPER,
        body_background_fill_dark=NIGHT,
        # As in style.css, and dark enough to be read: Gradio's own greys and oranges have a contrast of 2 to 3.
        body_text_color_subdued="var(--sd-quiet)",
        body_text_color_subdued_dark="var(--sd-quiet)",
        color_accent="var(--sd-changed)",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1b1f26",
        button_primary_background_fill="#b4530d",
        button_primary_background_fill_hover="#96430a",
        button_primary_background_fill_dark="#b4530d",
        button_primary_background_fill_hover_dark="#be570e",
        button_primary_text_color="#ffffff",
        slider_color="#b4530d",
        slider_color_dark="#d8742a",
        block_title_text_weight="500",
        block_label_text_weight="500",
    )
