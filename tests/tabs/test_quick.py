from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import gradio

from lab.source import ROOT
from tabs.quick import EVENTS, FIND, page_script, quicker, routes

SCRIPT = (
    "class T{find_attached_events(e,t){let n=t.filter(t=>t.targets.find(([t])=>t===e.id)).map(t=>t.targets[0][1])"
    ".filter(Boolean);return e.props.shared_props.attached_events=n,e}rerender(e,t){let i=e,a=Q$(this.root,i.id);"
    "if(!a)throw 0;a.children=i.children,this.#f(i)}}"
    "function Q$(e,t){if(e.id===t)return e;if(e.children)for(let n of e.children){let e=Q$(n,t);if(e)return e}"
    "return null}"
)


def test_the_script_of_the_pinned_gradio_is_made_quicker() -> None:
    found = page_script()
    assert found is not None, "this version of Gradio looks things up in another way: see tabs/quick.py"
    name, script = found
    own = Path(gradio.__file__).parent / "templates" / "frontend" / "assets" / name
    before = own.read_text(encoding="utf-8")
    assert FIND.search(before) and EVENTS.search(before)
    assert not FIND.search(script) and not EVENTS.search(script)
    assert script.count("sdFind(") == 2 and script.count("sdAttached(") == 2
    assert [route.path for route in routes()] == [f"/assets/{name}"]


def test_what_is_replaced_is_called_with_the_same_arguments() -> None:
    script = quicker(SCRIPT)
    assert "function Q$(e,t){return sdFind(e,t)}" in script
    assert "find_attached_events(e,t){return e.props.shared_props.attached_events=sdAttached(e.id,t),e}" in script
    assert "a.children=i.children,sdTrees=new WeakMap,this.#f(i)}" in script


def test_another_script_is_served_as_it_is() -> None:
    for script in ("", "let a=1;", SCRIPT + SCRIPT, SCRIPT.replace("return null", "return void 0")):
        assert quicker(script) == script


def test_remembered_signatures_are_those_of_the_components() -> None:
    script = (
        "import inspect, gradio as gr\n"
        "from tabs.quick import remember_signatures\n"
        "kinds = [gr.Slider, gr.HTML, gr.Row, gr.Tab, gr.Dataframe, gr.State, gr.Blocks]\n"
        "before = [str(inspect.signature(kind.__init__)) for kind in kinds]\n"
        "config = gr.Slider(1, 5, value=2, label='A').get_config()\n"
        "remember_signatures()\n"
        "assert before == [str(inspect.signature(kind.__init__)) for kind in kinds]\n"
        "assert config == gr.Slider(1, 5, value=2, label='A').get_config()\n"
        "assert '__signature__' in vars(gr.Slider.__init__)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
