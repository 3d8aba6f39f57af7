import { decode } from "./document";
import { Controls } from "./live/controls";
import { Feed, type LiveOptions } from "./live/feed";
import { RunStore } from "./store";
import { element } from "./view/dom";
import { Family } from "./view/family";
import { HeatMap } from "./view/heat";
import { Lanes } from "./view/lanes";
import { Logs, Rules } from "./view/logs";
import { Matrix } from "./view/matrix";
import { Page } from "./view/page";
import { Predictor } from "./view/predict";
import { Swarm } from "./view/swarm";
import { Throughput } from "./view/throughput";
import { WhyPanel } from "./view/why_panel";

const TICK_MS = 250;

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
    const swarm = new Swarm(page);
    if (options.live) page.addRow(connect(page, swarm, options.live));
    page.addRow(new Lanes(page));
    page.addRow(new WhyPanel(page));
    page.addRow(swarm, new HeatMap(page));
    page.addRow(new Throughput(page));
    page.addRow(new Matrix(page), new Family(page));
    page.addRow(new Logs(page), new Rules(page));
    new Predictor(page);
    page.redraw();
    return page;
  } catch (problem) {
    const text = problem instanceof Error ? problem.message : String(problem);
    root.replaceChildren(element("p", { class: "tn-error", role: "alert" }, `This run cannot be drawn: ${text}`));
    return null;
  }
}

/** Follow a running lab. */
function connect(page: Page, swarm: Swarm, live: LiveOptions): Controls {
  let seen = performance.now();
  let duration = page.store.data.run.duration;
  let connected = false;
  const moved = (): void => {
    const now = performance.now();
    const { run } = page.store.data;
    // Messages say what has happened, and not what time it is.
    if (run.live && connected) run.duration = Math.max(run.duration, duration + now - seen, page.store.newest());
    seen = now;
    duration = run.duration;
    page.redraw();
  };
  const feed = new Feed(
    live,
    {
      delta: (delta) => (page.store.apply(delta), moved()),
      reset: (document) => (page.store.replace(document), moved()),
      status: (text, on) => ((connected = on), controls.status(text, on)),
    },
    page.store.data.seq ?? 0,
  );
  const controls = new Controls(page, feed, swarm, live);
  // Time passes in the lab when nothing happens too.
  setInterval(() => {
    if (!connected || !page.store.data.run.live || page.view.t !== null) return;
    page.store.data.run.duration = Math.max(page.store.data.run.duration, duration + performance.now() - seen);
    page.redraw();
  }, TICK_MS);
  void feed.run();
  return controls;
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
