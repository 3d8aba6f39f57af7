import type { LogRow } from "../document";
import { plain, seconds } from "../format";
import { nameOf, type App, type Frame, type Panel } from "./app";
import { element, panel, setText } from "./dom";

const ROW = 22;
const SHOWN = 24;
const MOST_TEXT = 400;

/** The nodes' lines: filtered, at the playhead, few of them in the page at a time. */
export class Logs implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #filter = element("input", {
    type: "search",
    class: "tn-filter",
    placeholder: "filter",
    "aria-label": "Show only lines with this text",
  });
  readonly #only = element("input", { type: "checkbox" });
  readonly #box = element("div", {
    class: "tn-lines",
    tabindex: "0",
    role: "group",
    "aria-label": "Lines",
  });
  readonly #room = element("div", { class: "tn-room" });
  readonly #note = element("p", { class: "tn-note" });
  readonly #rows: { row: HTMLElement; time: HTMLElement; node: HTMLElement; text: HTMLElement }[] = [];
  #lines: LogRow[] = [];
  #key = "";
  #current = -1;
  #byHand = false;

  constructor(app: App) {
    this.#app = app;
    this.#filter.addEventListener("input", () => app.set({ filter: this.#filter.value }));
    this.#only.addEventListener("change", () => app.set({ onlySelected: this.#only.checked }));
    this.#box.addEventListener("scroll", () => this.#fill());
    for (const how of ["wheel", "pointerdown", "keydown"])
      this.#box.addEventListener(how, () => (this.#byHand = true), { passive: true });
    const { section, body } = panel(
      "logs",
      "Log lines",
      this.#filter,
      element("label", {}, this.#only, " selected nodes only"),
    );
    this.section = section;
    for (let i = 0; i < SHOWN; i++) {
      const time = element("button", { type: "button", class: "tn-jump", tabindex: "-1" });
      const node = element("b", {});
      const text = element("span", {});
      const row = element("div", { class: "tn-line" }, time, node, text);
      time.addEventListener("click", () => app.go(Number(row.dataset.t)));
      this.#rows.push({ row, time, node, text });
      this.#room.append(row);
    }
    this.#box.append(this.#room);
    body.append(this.#box, this.#note);
  }

  draw({ view, t }: Frame): void {
    const { logs, logs_dropped: dropped } = this.#app.store.data;
    if (document.activeElement !== this.#filter) this.#filter.value = view.filter;
    this.#only.checked = view.onlySelected;
    const chosen = view.onlySelected ? [...view.selected].join(" ") : "";
    const key = `${this.#app.store.version} ${view.filter} ${view.onlySelected} ${chosen}`;
    if (key !== this.#key) {
      this.#key = key;
      const wanted = view.filter.toLowerCase();
      const nodes = this.#app.nodes();
      this.#lines = logs.filter(([, node, text]) => {
        if (view.onlySelected && !view.selected.has(nodes[node]?.name ?? "")) return false;
        return (
          wanted === "" ||
          text.toLowerCase().includes(wanted) ||
          (nodes[node]?.name ?? "").toLowerCase().includes(wanted)
        );
      });
      this.#room.style.height = `${Math.min(this.#lines.length * ROW, 30_000_000)}px`;
      this.#current = -2;
    }
    const current = lastBefore(this.#lines, t);
    if (current !== this.#current) {
      this.#current = current;
      if (!this.#byHand || this.#app.playing || document.activeElement !== this.#box) {
        this.#box.scrollTop = Math.max(0, (current - SHOWN / 4) * ROW);
        this.#byHand = false;
      }
      this.#fill();
    }
    const all = logs.length === 0 ? "This record has no lines." : `${this.#lines.length} of ${logs.length} lines`;
    setText(this.#note, dropped > 0 ? `${all}; ${dropped} older lines are in the record's logs/ only.` : all);
  }

  #fill(): void {
    const first = Math.max(0, Math.min(Math.floor(this.#box.scrollTop / ROW) - 2, this.#lines.length - SHOWN));
    this.#rows.forEach(({ row, time, node, text }, index) => {
      const line = this.#lines[first + index];
      row.hidden = line === undefined;
      if (line === undefined) return;
      row.style.transform = `translateY(${(first + index) * ROW}px)`;
      row.dataset.t = String(line[0]);
      row.classList.toggle("tn-now-line", first + index === this.#current);
      row.classList.toggle("tn-later", first + index > this.#current);
      setText(time, seconds(line[0]));
      setText(node, nameOf(this.#app, line[1]));
      const shown = plain(line[2]).slice(0, MOST_TEXT);
      setText(text, shown);
      row.title = shown;
    });
  }
}

function lastBefore(lines: readonly LogRow[], t: number): number {
  let [low, high] = [0, lines.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lines[middle][0] <= t) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The rules that the faults set, as the kernel or the links have them. */
export class Rules implements Panel {
  readonly section: HTMLElement;
  readonly #app: App;
  readonly #body: HTMLElement;
  #version = -1;

  constructor(app: App) {
    this.#app = app;
    const { section, body } = panel("rules", "Rules that the faults set");
    this.section = section;
    this.#body = body;
  }

  draw(): void {
    if (this.#version === this.#app.store.version) return;
    this.#version = this.#app.store.version;
    const { rules, faults } = this.#app.store.data;
    const byFault = new Map<number, string[]>();
    for (const [fault, node, text] of rules) {
      const line = node >= 0 ? `${nameOf(this.#app, node)}: ${plain(text)}` : plain(text);
      const lines = byFault.get(fault);
      if (lines) lines.push(line);
      else byFault.set(fault, [line]);
    }
    const known = faults.filter((fault) => byFault.has(fault.id)).slice(0, 40);
    this.#body.replaceChildren(
      ...known.map((fault) => {
        const lines = byFault.get(fault.id) ?? [];
        const cut = lines.length > 60 ? [...lines.slice(0, 60), `… ${lines.length - 60} more`] : lines;
        return element(
          "details",
          {},
          element("summary", {}, `${seconds(fault.began)} ${plain(fault.text || fault.kind).slice(0, 160)}`),
          element("pre", { tabindex: "0" }, cut.join("\n")),
        );
      }),
    );
    if (known.length === 0) {
      this.#body.append(
        element(
          "p",
          { class: "tn-note" },
          "This record has no rules: no fault changed the network, or it is of an older version.",
        ),
      );
    }
  }
}
