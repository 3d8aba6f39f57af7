import { isActive } from "../faults";
import { plain } from "../format";
import type { Frame, Panel } from "../view/app";
import { button, download, element, panel, setText } from "../view/dom";
import type { Page } from "../view/page";
import type { Swarm } from "../view/swarm";
import type { Feed, LiveOptions, VerbAnswer, VerbRequest } from "./feed";

const MOST_ANSWERS = 12;
const VERBS = [
  ["kill", "End the programs at once, as a power cut does"],
  ["stop", "Ask the programs to end"],
  ["pause", "Freeze the processes"],
  ["resume", "Let frozen processes go on"],
  ["start", "Start the programs"],
  ["restart", "End the programs and start them again"],
  ["isolate", "Cut the nodes off from all others"],
] as const;
const QUALITIES = [
  ["loss", "5%", "Share of packets that are lost, for example 5%"],
  ["delay", "100ms", "Time that packets take longer, for example 100ms"],
  ["rate", "1mbit", "Bits a second, for example 1mbit"],
] as const;

/** What a person may do to the running lab; each answer says what has really happened. */
export class Controls implements Panel {
  readonly section: HTMLElement;
  readonly #page: Page;
  readonly #feed: Feed;
  readonly #swarm: Swarm;
  readonly #status = element("p", { class: "tn-status", role: "status" });
  readonly #selected = element("p", { class: "tn-note" });
  readonly #answers = element("ol", {
    class: "tn-answers",
    "aria-live": "polite",
    "aria-label": "Answers, the newest first",
  });
  readonly #needNodes: HTMLButtonElement[] = [];
  readonly #faults = element("div", { class: "tn-row" });
  readonly #line: HTMLButtonElement;
  #busy = 0;
  #faultsKey = "none";

  constructor(page: Page, feed: Feed, swarm: Swarm, options: LiveOptions) {
    this.#page = page;
    this.#feed = feed;
    this.#swarm = swarm;
    const save = button(
      "Save as scenario",
      "A YAML file that does again what was done by hand",
      () => void this.#save(),
    );
    const { section, body } = panel(
      "controls",
      options.readOnly ? "Running lab (you may look)" : "Running lab",
      this.#status,
      save,
    );
    this.section = section;
    this.#line = button(
      "Draw a partition",
      "Draw a line through the map of the swarm: it cuts the nodes on its two sides apart",
      () => this.#draw(swarm.drawing === null),
    );
    if (options.readOnly) {
      body.append(element("p", { class: "tn-note" }, "This link shows the lab and cannot change it."));
      return;
    }
    body.append(this.#selected, this.#makeVerbs(), this.#makeNetwork(), this.#faults, this.#answers);
    if (options.link) body.append(this.#makeLink(options.link));
  }

  status(text: string, connected: boolean): void {
    setText(this.#status, text);
    this.#status.classList.toggle("tn-off", !connected);
  }

  draw({ view, t }: Frame): void {
    const names = [...view.selected];
    setText(
      this.#selected,
      names.length === 0
        ? "Select nodes in the map or by their names in the lanes; Shift adds."
        : `${names.length === 1 ? "Selected" : `${names.length} selected`}: ${names.slice(0, 12).map(plain).join(", ")}${names.length > 12 ? ", …" : ""}`,
    );
    for (const one of this.#needNodes) one.disabled = names.length === 0;
    this.#line.setAttribute("aria-pressed", String(this.#swarm.drawing !== null));
    const active = this.#page.store.data.faults.filter((fault) =>
      isActive(fault, Math.max(t, this.#page.store.data.run.duration)),
    );
    const key = active.map((fault) => fault.id).join();
    if (key === this.#faultsKey) return;
    this.#faultsKey = key;
    this.#faults.replaceChildren(
      ...active.slice(0, 12).map((fault) => {
        const label = `Heal: ${plain(fault.name || fault.text).slice(0, 60)}`;
        const request = fault.name
          ? { verb: "heal", name: fault.name }
          : { verb: "heal", nodes: this.#names(fault.nodes) };
        return button(label, "End this fault", () => void this.#act(request));
      }),
    );
  }

  #makeVerbs(): HTMLElement {
    const row = element("div", { class: "tn-row", role: "group", "aria-label": "For the selected nodes" });
    for (const [verb, title] of VERBS) {
      const one = button(verb, title, () => void this.#act({ verb, nodes: [...this.#page.view.selected] }));
      this.#needNodes.push(one);
      row.append(one);
    }
    return row;
  }

  #makeNetwork(): HTMLElement {
    const fields = QUALITIES.map(([name, example, title]) => {
      const field = element("input", {
        type: "text",
        size: "6",
        placeholder: example,
        title,
        "aria-label": `${name}, for example ${example}`,
      });
      return { name, field };
    });
    const impair = button("impair", "Impair all links of the selected nodes", () => {
      const given = fields.flatMap(({ name, field }) =>
        field.value.trim() ? [[name, field.value.trim()] as const] : [],
      );
      if (given.length === 0)
        return this.#answer(
          { ok: false, text: "Give a loss, a delay or a rate first, for example a delay of 100ms." },
          "impair",
        );
      return void this.#act({
        verb: "impair",
        nodes: [...this.#page.view.selected],
        qualities: Object.fromEntries(given),
      });
    });
    const apart = button(
      "partition",
      "Cut the selected nodes off from the rest; among themselves they still reach each other",
      () => {
        const one = [...this.#page.view.selected];
        const rest = this.#page.nodes().flatMap((node) => (this.#page.view.selected.has(node.name) ? [] : [node.name]));
        void this.#act({ verb: "partition", sides: [one, rest] });
      },
    );
    this.#needNodes.push(impair, apart);
    return element(
      "div",
      { class: "tn-row", role: "group", "aria-label": "Network" },
      apart,
      this.#line,
      button("heal", "End all faults of the network, or those of the selected nodes", () => {
        void this.#act({ verb: "heal", nodes: [...this.#page.view.selected] });
      }),
      impair,
      ...fields.map(({ name, field }) => element("label", {}, `${name} `, field)),
    );
  }

  #makeLink(link: string): HTMLElement {
    const field = element("input", {
      type: "text",
      readonly: true,
      "aria-label": "Link for a class: it shows and cannot change",
      value: link,
    });
    field.addEventListener("focus", () => field.select());
    return element(
      "p",
      { class: "tn-row tn-link" },
      element("span", { class: "tn-note" }, "For a class, to look only:"),
      field,
    );
  }

  #draw(on: boolean): void {
    this.#swarm.drawing = on
      ? (one, other) => {
          this.#draw(false);
          const sides = [this.#names(one), this.#names(other)];
          if (sides.some((side) => side.length === 0)) {
            this.#answer({ ok: false, text: "All nodes are on one side of that line: nothing was cut." }, "partition");
          } else void this.#act({ verb: "partition", sides });
        }
      : null;
    this.#swarm.section.classList.toggle("tn-drawing", on);
    if (on) this.#swarm.section.scrollIntoView({ block: "nearest" });
    this.#page.redraw();
  }

  #names(nodes: readonly number[]): string[] {
    return nodes.flatMap((node) => this.#page.nodes()[node]?.name ?? []);
  }

  async #act(request: VerbRequest): Promise<void> {
    this.#busy++;
    this.section.setAttribute("aria-busy", "true");
    const answer = await this.#feed.act(request);
    this.#busy--;
    if (this.#busy === 0) this.section.removeAttribute("aria-busy");
    this.#answer(answer, request.verb);
  }

  #answer(answer: VerbAnswer, verb: string): void {
    const details = [answer.command, answer.yaml].filter((text): text is string => Boolean(text));
    const row = element(
      "li",
      { class: answer.ok ? "tn-good" : "tn-bad" },
      element("b", {}, `${answer.ok ? "✓" : "✗"} ${verb}`),
      element("span", {}, plain(answer.text)),
      ...details.map((text) => element("code", {}, text.split("\n").map(plain).join("\n"))),
    );
    this.#answers.prepend(row);
    while (this.#answers.children.length > MOST_ANSWERS) this.#answers.lastElementChild?.remove();
  }

  async #save(): Promise<void> {
    try {
      const name = this.#page.store.data.run.scenario.replace(/[^\w.-]+/g, "_") || "lab";
      download(`${name}_by_hand.yaml`, "application/yaml", await this.#feed.scenario());
    } catch (problem) {
      this.#answer({ ok: false, text: (problem as Error).message }, "save");
    }
  }
}
