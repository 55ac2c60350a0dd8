"""A quicker page, and a quicker start.

Two look-ups in Gradio's page script go through the whole page for every part of it.

Gradio 6.31 asks, for each component, all events of the page whether they are the component's own, and finds a component
by walking down the tree, once for each input and output of each event and for each change of a status. With a thousand
components that is most of what a browser does until the page can be used. Here both are looked up in a map instead.

The script is changed on its way to the browser. Where it does not contain what is replaced, as with another version of
Gradio, it is served as it is.

At the start Gradio takes the signature of a component's class apart for every component, five times over.
"""

from __future__ import annotations

import gc
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

# Finds a node by its id: f(node, id). The variables are whatever the minifier called them.
FIND = re.compile(
    r"function (?P<f>[\w$]+)\((?P<e>\w+),(?P<t>\w+)\)\{if\((?P=e)\.id===(?P=t)\)return (?P=e);if\((?P=e)\.children\)"
    r"for\(let (?P<n>\w+) of (?P=e)\.children\)\{let (?P<r>\w+)=(?P=f)\((?P=n),(?P=t)\);if\((?P=r)\)return (?P=r)\}"
    r"return null\}"
)
# Sets a component's own events: find_attached_events(node, events).
EVENTS = re.compile(
    r"find_attached_events\((?P<e>\w+),(?P<t>\w+)\)\{let (?P<n>\w+)=(?P=t)\.filter\(.{20,200}?\)\.filter\(Boolean\);"
    r"return (?P=e)\.props\.shared_props\.attached_events=(?P=n),(?P=e)\}"
)
# A tree's nodes are kept by its root. One that was put in later is not there yet and is searched for; once a rerender
# has put others in their place, what was there before must not be found any more.
RERENDER = re.compile(r";(\w+)\.children=(\w+)\.children,(this\.#\w+\(\2\))\}")
FOUND = """
let sdTrees=new WeakMap;
function sdFind(root,id){
    const known=sdTrees.get(root)?.get(id);
    if(known)return known;
    const nodes=new Map;
    const add=node=>{nodes.set(node.id,node);if(node.children)for(const child of node.children)add(child)};
    add(root);
    sdTrees.set(root,nodes);
    return nodes.get(id)??null;
}
const sdEvents=new WeakMap;
function sdAttached(id,events){
    let own=sdEvents.get(events);
    if(!own){
        own=new Map;
        for(const event of events){
            const seen=new Set;
            for(const [target,name] of event.targets){
                if(seen.has(target))continue;
                seen.add(target);
                if(name)own.has(target)?own.get(target).push(name):own.set(target,[name]);
            }
        }
        sdEvents.set(events,own);
    }
    return [...(own.get(id)??[])];
}
"""


def quicker(script: str) -> str:
    """Return the page script with quick look-ups, or as it is if it is not as expected."""
    if not all(len(pattern.findall(script)) == 1 for pattern in (FIND, EVENTS, RERENDER)):
        return script
    script = FIND.sub(r"function \g<f>(\g<e>,\g<t>){return sdFind(\g<e>,\g<t>)}", script)
    script = EVENTS.sub(
        r"find_attached_events(\g<e>,\g<t>){return \g<e>.props.shared_props.attached_events="
        r"sdAttached(\g<e>.id,\g<t>),\g<e>}",
        script,
    )
    return RERENDER.sub(r";\1.children=\2.children,sdTrees=new WeakMap,\3}", script) + FOUND


@cache
def remember_signatures() -> None:
    """Take the signature of every component class apart once; ``inspect`` looks there first."""
    from gradio.blocks import Block

    classes = [Block]
    for cls in classes:  # which grows
        classes += cls.__subclasses__()
        init = cls.__dict__.get("__init__")
        while init is not None and not hasattr(init, "__signature__"):
            init.__signature__ = inspect.signature(init)
            init = getattr(init, "__wrapped__", None)


def settle() -> None:
    """Let the garbage collector leave alone what is there now, modules, pages and models: it stays as long as the app.

    Going through all of it again and again takes a fifth of the start, so ``app.py`` begins with the collector off.
    """
    gc.freeze()
    gc.enable()


@cache
def page_script() -> tuple[str, str] | None:
    """Return name and text of Gradio's script of the component tree, made quicker; None if it is not found."""
    import gradio

    folder = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
    for path in sorted(folder.glob("core-*.js")):
        script = path.read_text(encoding="utf-8")
        if (changed := quicker(script)) != script:
            return path.name, changed
    return None


def quick_serving() -> dict[str, Any]:
    """Return arguments of the web application under Gradio: a route to the quicker script, and compressed pages."""
    from starlette.middleware import Middleware
    from starlette.middleware.gzip import GZipMiddleware

    # Gradio compresses its scripts but not the page: 1.3 MB of configuration. Streams of events pass as they are.
    return {"routes": routes(), "middleware": [Middleware(GZipMiddleware, minimum_size=20_000, compresslevel=5)]}


def routes() -> list[Any]:
    """Return the route that serves the quicker script, to stand before Gradio's own."""
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    found = page_script()
    if found is None:
        return []
    name, script = found

    async def serve(_: Request) -> Response:
        return Response(script, media_type="text/javascript")

    return [Route(f"/assets/{name}", serve)]
