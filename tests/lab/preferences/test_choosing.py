"""Choosing from the pool: its file is read by lines, and by nothing else that looks like the end of one."""

from __future__ import annotations

import json
from pathlib import Path

from lab.preferences.choosing import held_out_prompts


def test_a_prompt_may_have_what_unicode_calls_a_line_end(tmp_path: Path) -> None:
    prompts = ["two\u2028lines", "next\x85one", "plain"]
    lines = [json.dumps({"prompt": prompt, "held_out": True}, ensure_ascii=False) for prompt in prompts]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert held_out_prompts(tmp_path / "pool.jsonl") == tuple(prompts)
