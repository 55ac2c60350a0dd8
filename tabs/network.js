// Gradio takes one request that fails for the end: it does nothing any more, and loads the page anew as soon as the
// server answers, with all that was written and made on it. A phone that is locked or changes its network does that in
// the middle of every workshop. Here such a failure ends what was running, and is told; the page stays and goes on.
() => {
    const {root, api_prefix} = window.gradio_config;
    const at = (path) => `${root}${api_prefix}/${path}`;
    const words = "The connection was lost, and what was running has ended. All that stands on this page is still here.";
    const told = document.createElement("p");
    told.id = "sd-lost";
    told.setAttribute("aria-live", "assertive");
    document.body.append(told);
    const tell = (lost) => { if (Boolean(told.textContent) !== lost) told.textContent = lost ? words : ""; };
    // As the server tells of an event that went wrong, for all that are under way; then no more will come.
    const end = [{msg: "unexpected_error", message: words, success: false}, {msg: "close_stream"}];
    const ending = end.map((message) => `data: ${JSON.stringify(message)}\n\n`).join("");
    // "These inputs cannot be taken", and none is named: it ends what was asked for, without a message of its own.
    const nothing = () => new Response(JSON.stringify({error: [], detail: []}), {status: 422});
    const stream = (body) => new Response(body, {headers: {"Content-Type": "text/event-stream"}});
    // A server that comes late to know of an old connection's end forgets the new one with it: for Gradio another reason
    // to load the page anew.
    const known = (messages) => {
        const kept = messages.replaceAll('"session_not_found":true', '"session_not_found":false');
        if (kept !== messages) tell(true);
        return kept;
    };
    // Whole messages alone are handed on, so that half a one is not read when the rest does not come.
    const unbroken = (answer, signal) => {
        const reader = answer.body.getReader(), decoder = new TextDecoder(), encoder = new TextEncoder();
        let rest = "";
        return stream(new ReadableStream({
            async pull(controller) {
                try {
                    for (let whole = 0; !whole;) {
                        const {done, value} = await reader.read();
                        if (done) return controller.close();
                        rest += decoder.decode(value, {stream: true});
                        whole = rest.lastIndexOf("\n\n") + 1 && rest.lastIndexOf("\n\n") + 2;
                        if (whole) controller.enqueue(encoder.encode(known(rest.slice(0, whole))));
                        rest = rest.slice(whole);
                    }
                } catch (error) {
                    if (signal.aborted) return controller.error(error);
                    tell(true);
                    controller.enqueue(encoder.encode(ending));
                    controller.close();
                }
            },
            cancel: (reason) => reader.cancel(reason),
        }));
    };
    const ask = window.fetch.bind(window);
    window.fetch = async (input, options) => {
        const url = String(input.url ?? input), signal = options?.signal ?? input.signal;
        const streams = url.startsWith(at("queue/data"));  // each may have the page's query behind it
        if (!streams && !["queue/join", "run/"].some((path) => url.startsWith(at(path)))) return ask(input, options);
        try {
            const answer = await ask(input, options);
            tell(false);
            return streams && answer.ok ? unbroken(answer, signal ?? {}) : answer;
        } catch (error) {
            if (signal?.aborted) throw error;
            tell(true);
            return streams ? stream(ending) : nothing();
        }
    };
    return [];
}
