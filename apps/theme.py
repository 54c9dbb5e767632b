"""How the app looks: Gradio's theme, the style sheet and the head of the page. System fonts; nothing comes from another host."""

from __future__ import annotations

import gradio as gr

from apps.page import STATIC

FONTS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

THEME = gr.themes.Base(primary_hue="blue", secondary_hue="slate", neutral_hue="slate", font=FONTS, font_mono=MONO,
                       text_size="sm", spacing_size="sm", radius_size="md").set(
    body_background_fill="#f6f7f9", body_background_fill_dark="#0f141b",
    background_fill_secondary="#f6f7f9", background_fill_secondary_dark="#0f141b",
    block_background_fill="#ffffff", block_background_fill_dark="#171d26",
    block_border_color="#e3e7ed", block_border_color_dark="#2a323e",
    border_color_primary="#e3e7ed", border_color_primary_dark="#2a323e",
    block_label_background_fill="transparent", block_label_background_fill_dark="transparent",
    body_text_color="#1d2632", body_text_color_dark="#e4e9f0",
    body_text_color_subdued="#5c6877", body_text_color_subdued_dark="#98a4b3",
    block_title_text_color="#1d2632", block_title_text_color_dark="#e4e9f0",
    block_info_text_color="#5c6877", block_info_text_color_dark="#98a4b3", input_border_width="1px", block_padding="8px 10px",
    block_shadow="none", block_shadow_dark="none",
    input_background_fill="#ffffff", input_background_fill_dark="#10161e",
    input_border_color="#d5dbe4", input_border_color_dark="#323c4a",
    button_primary_background_fill="#2463c7", button_primary_background_fill_hover="#1d53a9",
    button_primary_background_fill_dark="#2f6fd6", button_primary_background_fill_hover_dark="#3c7ce2",
    button_primary_text_color="#ffffff", button_large_text_size="14px", button_large_text_weight="600",
    color_accent="#2463c7", color_accent_soft="#e8f0fc", color_accent_soft_dark="#1b2b45",
)

SCRIPTS = ("workbench", "judge", "charts", "figure", "heatmap", "samples", "health", "steer", "overdone", "overlay")
HEAD = "".join(f'<script src="/static/{name}.js"></script>' for name in SCRIPTS)


def css() -> str:
    return "".join((STATIC / f"{name}.css").read_text(encoding="utf-8") for name in ("app", "rollouts"))
