import { decode } from "./document";
import { RunStore } from "./store";
import { element } from "./view/dom";
import { Family } from "./view/family";
import { HeatMap } from "./view/heat";
import { Lanes } from "./view/lanes";
import { Logs, Rules } from "./view/logs";
import { Matrix } from "./view/matrix";
import { Page } from "./view/page";
import { Swarm } from "./view/swarm";
import { Throughput } from "./view/throughput";
import { WhyPanel } from "./view/why_panel";

export interface LiveOptions {
    base: string;
    token: string;
    readOnly: boolean;
    link?: string | null;
}

export interface StartOptions {
    run: unknown;
    against?: unknown;
    live?: LiveOptions;
}

/** Draw a run into `<main id="viewer">`. Whatever goes wrong is said there. */
export async function start(options: StartOptions): Promise<Page | null> {
    const root = document.getElementById("viewer") ?? document.body.appendChild(element("main", { id: "viewer" }));
    try {
        const store = new RunStore(await decode(options.run));
        const against = options.against ? new RunStore(await decode(options.against)) : null;
        const page = new Page(root, store, against, options.live !== undefined);
        page.addRow(new Lanes(page));
        page.addRow(new WhyPanel(page));
        page.addRow(new Swarm(page), new HeatMap(page));
        page.addRow(new Throughput(page));
        page.addRow(new Matrix(page), new Family(page));
        page.addRow(new Logs(page), new Rules(page));
        page.redraw();
        return page;
    } catch (problem) {
        const text = problem instanceof Error ? problem.message : String(problem);
        root.replaceChildren(element("p", { class: "tn-error", role: "alert" }, `This run cannot be drawn: ${text}`));
        return null;
    }
}

function embedded(id: string): unknown {
    const text = document.getElementById(id)?.textContent?.trim();
    return text ? JSON.parse(text) : undefined;
}

async function startEmbedded(): Promise<void> {
    if (document.getElementById("run") === null) return;
    let run: unknown;
    let against: unknown;
    try {
        run = embedded("run");
        against = embedded("against");
    } catch {
        // start() says so.
    }
    await start({ run, against });
}

if (typeof document !== "undefined") {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => void startEmbedded());
    else void startEmbedded();
}
