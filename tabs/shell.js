// What the page does by itself, whatever tab is open. Run once, when the page is loaded.
() => {
    const body = document.body;
    // Heard, not seen. It is there before it has anything to say, as screen readers want it.
    const live = document.createElement("p");
    live.id = "sd-told";
    live.className = "sd-live";
    live.setAttribute("aria-live", "polite");
    body.append(live);
    const tabsOf = (bar) => [...bar.querySelectorAll("[role=tab]")].filter((tab) => tab.offsetParent);
    // The address follows the tab that is open, so that a reload or a bookmark comes back to it.
    const remember = (tab) => {
        if (!tab.closest("#sd-tabs > .tab-wrapper")) return;
        const query = new URLSearchParams({tab: tab.dataset.tabId});
        const now = new URLSearchParams(location.search);
        for (const name of ["class", "__theme"]) if (now.get(name)) query.set(name, now.get(name));
        try { history.replaceState(null, "", `?${query}`); } catch (error) {}
    };
    // Arrow keys move along a tab bar, as they do in every program.
    document.addEventListener("keydown", (event) => {
        const tab = event.target.closest?.("[role=tab]");
        const bar = tab?.closest("[role=tablist]");
        if (!bar || event.ctrlKey || event.altKey || event.metaKey) return;
        const tabs = tabsOf(bar), place = tabs.indexOf(tab);
        const to = {ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1}[event.key];
        if (to === undefined) return;
        event.preventDefault();
        const next = tabs[(to + tabs.length) % tabs.length];
        next.focus();
        next.click();
    });
    document.addEventListener("click", (event) => {
        const tab = event.target.closest?.("[role=tab]");
        if (tab) remember(tab);
    });
    // A link that was made is of the state that it was made from: what is done after that takes it away.
    // Of a table all of it: a cell that is half in view moves under the pointer, and its click is the table's then.
    const clicked = "button:not(.label-wrap), label, [role=option], [data-n], [role=grid], .js-plotly-plot";
    // Where a key changes something without an event of its own: texts and tables by arrows, a list by what is chosen.
    const pressed = {
        ".sd-text, [role=slider], [role=grid]": /^(Arrow|Home$|End$|Page|Enter$)/,
        "[role=combobox]": /^(Enter|Backspace|Delete)$/,
    };
    const doing = {
        input: () => true,
        click: (event) => event.target.closest(clicked),
        keydown: (event) => Object.entries(pressed).some(([on, keys]) => keys.test(event.key) && event.target.closest(on)),
    };
    const outdated = (event) => {
        const panel = event.target.closest?.("#sd-tabs > [role=tabpanel]");
        if (!panel || event.target.closest(".sd-copied") || !doing[event.type](event)) return;
        panel.querySelectorAll(".sd-copied").forEach((box) => { box.hidden = true; });
    };
    for (const kind of Object.keys(doing)) document.addEventListener(kind, outdated, true);
    // Links from page to page stay in the class and in the colours that the visitor came with.
    const complete = (event) => {
        const link = event.target.closest?.('a[href^="?"]');
        if (!link) return;
        const query = new URLSearchParams(link.getAttribute("href"));
        const theme = new URLSearchParams(location.search).get("__theme");
        if (theme) query.set("__theme", theme);
        if (body.dataset.sdClass && !link.dataset.leave) query.set("class", body.dataset.sdClass);
        link.setAttribute("href", `?${query}`);
    };
    for (const kind of ["pointerdown", "focusin", "click"]) document.addEventListener(kind, complete, true);
    // Past the header and the tab bar, to what the open tab shows.
    document.querySelector(".sd-skip")?.addEventListener("click", (event) => {
        event.preventDefault();
        const panel = [...document.querySelectorAll("#sd-tabs > [role=tabpanel]")].find((one) => one.offsetParent);
        if (!panel) return;
        panel.tabIndex = -1;
        panel.focus();
        panel.scrollIntoView();
    });
    return [];
}
