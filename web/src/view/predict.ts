import type { Fault } from "../document";
import { faultText, harms } from "../faults";
import { plain, seconds } from "../format";
import type { RunStore } from "../store";
import { button, element, setText } from "./dom";
import type { Page } from "./page";

/** What a fault did to the downloads that were under way. */
export const OUTCOMES = [
  ["on", "All downloads go on without a pause of a second"],
  ["pause", "A download pauses for a second or longer and then goes on"],
  ["end", "A download gets no further piece in the rest of the run"],
] as const;
export type Outcome = (typeof OUTCOMES)[number][0];

const PAUSE_MS = 1000;

/** What the record says: the worst that happened to a node that was downloading when the fault began. */
export function outcomeOf(store: RunStore, fault: Fault): Outcome | null {
  const { phases, nodes } = store.data;
  const { t, node, length } = store.arrivals;
  const phase = new Map<number, string>();
  for (const [time, owner, name] of phases) if (time < fault.began) phase.set(owner, name);
  const done = new Map<number, number>();
  for (const [time, owner, name] of phases) if (name === "seed" && !done.has(owner)) done.set(owner, time);
  let worst: Outcome | null = null;
  nodes.forEach((about, index) => {
    if (phase.get(index) !== "get" || !about.reports_pieces) return;
    worst ??= "on";
    let last = fault.began;
    let gap = 0;
    let count = 0;
    for (let i = store.arrivals.after(fault.began); i < length; i++) {
      if (node[i] !== index) continue;
      // Only a pause that began while the fault was young is the fault's.
      if (last - fault.began < 2 * PAUSE_MS) gap = Math.max(gap, t[i] - last);
      last = t[i];
      count++;
    }
    if (count === 0 && !done.has(index)) worst = "end";
    else if (gap >= PAUSE_MS && worst !== "end") worst = "pause";
  });
  return worst;
}

/** The replay stops before a fault and asks; the record scores. */
export class Predictor {
  readonly dialog = element("dialog", { class: "tn-dialog", "aria-labelledby": "tn-predict-title" });
  readonly #page: Page;
  readonly #asked = new Set<number>();
  #right = 0;
  #given = 0;

  constructor(page: Page) {
    this.#page = page;
    page.halts = (from, to) => this.#halt(from, to);
    page.root.append(this.dialog);
  }

  /** The moment before which to stop, if a fault begins on the way. */
  #halt(from: number, to: number): number | null {
    const fault = this.#page.store.data.faults.find(
      (one) => harms(one) && one.began > from && one.began <= to && !this.#asked.has(one.id),
    );
    if (fault === undefined) return null;
    const outcome = outcomeOf(this.#page.store, fault);
    this.#asked.add(fault.id);
    if (outcome === null) return null;
    this.#ask(fault, outcome);
    return Math.max(from, fault.began - 1);
  }

  #ask(fault: Fault, outcome: Outcome): void {
    const verdict = element("p", { role: "status" });
    const go = button("Show it", "Go on with the replay", () => {
      this.dialog.close();
      if (!this.#page.playing) this.#page.toggle();
    });
    const choices = OUTCOMES.map(([value, text]) =>
      button(text, "", () => {
        choices.forEach((one) => (one.disabled = true));
        this.#given++;
        if (value === outcome) this.#right++;
        const says = OUTCOMES.find(([name]) => name === outcome)?.[1] ?? "";
        setText(
          verdict,
          `${value === outcome ? "Right." : `The record says: ${says.toLowerCase()}.`} ${this.#right} of ${this.#given} right.`,
        );
        go.focus();
      }),
    );
    this.dialog.replaceChildren(
      element("h2", { id: "tn-predict-title" }, `What happens next? ${seconds(fault.began)}`),
      element("p", {}, `The lab is about to do this: ${plain(faultText(fault, this.#page.store.data))}.`),
      element("div", { class: "tn-choices" }, ...choices),
      verdict,
      go,
    );
    this.dialog.showModal();
  }
}
