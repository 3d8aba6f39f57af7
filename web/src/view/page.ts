import type { RunNode } from "../document";
import { stops } from "../faults";
import { Fold } from "../fold";
import type { RunStore } from "../store";
import { formatFragment, HEAT_MODES, parseFragment, SPEEDS, THEMES, type View, type WhyTarget } from "../view_state";
import type { App, Frame, Panel, Run } from "./app";
import { Axis } from "./axis";
import { element, setText } from "./dom";
import { helpDialog } from "./help";
import { Patterns, readPalette, type Palette } from "./palette";
import { Toolbar } from "./toolbar";

const WRITE_FRAGMENT_MS = 250;

/** The page: its state, the clock of the replay, the keys, and one frame for all panels. */
export class Page implements App {
  readonly store: RunStore;
  readonly fold: Fold;
  readonly against: Run | null;
  readonly patterns = new Patterns();
  readonly calm: boolean;
  readonly root: HTMLElement;
  view: View = parseFragment(location.hash);
  playing = false;
  halts: ((from: number, to: number) => number | null) | null = null;

  readonly #panels: Panel[] = [];
  readonly #axis: Axis;
  readonly #toolbar: Toolbar;
  readonly #help = helpDialog();
  readonly #hint = element("div", { class: "tn-hint", hidden: true, "aria-hidden": "true" });
  readonly #announcer = element("div", { class: "tn-quiet", role: "status", "aria-live": "polite" });
  readonly #live: boolean;
  #palette: Palette;
  #asked = false;
  #last = 0;
  #writing: ReturnType<typeof setTimeout> | undefined;
  #stops: number[] = [];
  #stopsVersion = -1;

  constructor(root: HTMLElement, store: RunStore, against: RunStore | null, live: boolean) {
    this.root = root;
    this.store = store;
    this.fold = new Fold(store);
    this.against = against === null ? null : { store: against, fold: new Fold(against) };
    this.#live = live;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.#applyTheme();
    this.#palette = readPalette();
    this.#axis = new Axis(this);
    this.#toolbar = new Toolbar(this, {
      toggle: () => this.toggle(),
      step: (direction) => this.step(direction),
      help: () => this.#help.showModal(),
      now: live ? () => this.follow() : null,
    });
    const sticky = element("div", { class: "tn-sticky" }, this.#toolbar.bar, this.#axis.surface.canvas);
    root.replaceChildren(sticky, this.#help, this.#hint, this.#announcer);
    document.addEventListener("keydown", (event) => this.#key(event));
    addEventListener("hashchange", () => {
      if (location.hash.slice(1) === formatFragment(this.view)) return;
      // A link of the verdict names a moment and leaves the rest as it is.
      const given = parseFragment(location.hash);
      this.view = /^#t=[^&]*$/.test(location.hash) ? { ...this.view, t: given.t } : given;
      this.playing = false;
      this.#applyTheme();
      this.#repaint();
    });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#repaint());
    }
    addEventListener("resize", () => this.redraw());
  }

  /** Put panels side by side; on a narrow page they stand below each other. */
  addRow(...panels: Panel[]): void {
    this.root.append(
      element("div", { class: `tn-grid tn-grid-${panels.length}` }, ...panels.map((panel) => panel.section)),
    );
    this.#panels.push(...panels);
  }

  nodes(): RunNode[] {
    return this.store.data.nodes;
  }

  set(changes: Partial<View>): void {
    this.view = { ...this.view, ...changes };
    if (changes.theme !== undefined) {
      this.#applyTheme();
      this.#repaint();
    }
    this.redraw();
    this.#writeSoon();
  }

  go(t: number): void {
    this.playing = false;
    const [start, end] = this.store.span();
    this.set({ t: Math.min(Math.max(t, start), end) });
  }

  toggle(): void {
    this.playing = !this.playing;
    if (this.playing) {
      const [from, to] = this.range();
      const t = this.now();
      if (t >= to || t < from) this.set({ t: from });
      else this.set({ t });
      this.#last = performance.now();
    }
    this.redraw();
    this.#writeSoon();
  }

  step(direction: 1 | -1): void {
    if (this.#stopsVersion !== this.store.version) {
      this.#stops = stops(this.store.data);
      this.#stopsVersion = this.store.version;
    }
    const t = this.now();
    const next = direction > 0 ? this.#stops.find((time) => time > t) : this.#stops.findLast((time) => time < t);
    const [from, to] = this.store.span();
    this.go(next ?? (direction > 0 ? to : from));
  }

  /** Back to what happens now; a report's end. */
  follow(): void {
    this.playing = false;
    this.set({ t: null });
  }

  select(node: number, add: boolean): void {
    const name = this.nodes()[node]?.name;
    if (name === undefined) return;
    const selected = new Set(add ? this.view.selected : []);
    if (this.view.selected.has(name)) selected.delete(name);
    else selected.add(name);
    this.set({ selected });
    this.announce(`${name} ${selected.has(name) ? "selected" : "no longer selected"}, ${selected.size} in all`);
  }

  why(target: WhyTarget): void {
    this.set({ why: target });
  }

  hint(event: PointerEvent | null, text?: string): void {
    this.#hint.hidden = event === null || !text;
    if (event === null || !text) return;
    setText(this.#hint, text);
    const wide = this.#hint.offsetWidth;
    const high = this.#hint.offsetHeight;
    const x = Math.min(event.clientX + 14, innerWidth - wide - 8);
    const y = event.clientY + 16 + high > innerHeight ? event.clientY - high - 10 : event.clientY + 16;
    this.#hint.style.transform = `translate(${Math.max(x, 4)}px, ${Math.max(y, 4)}px)`;
  }

  announce(text: string): void {
    setText(this.#announcer, text);
  }

  now(): number {
    return this.view.t ?? (this.#live ? this.store.data.run.duration : this.store.span()[1]);
  }

  range(): [number, number] {
    return this.view.range ?? this.store.span();
  }

  redraw = (): void => {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame((now) => {
      this.#asked = false;
      this.#advance(now);
      this.#draw();
      if (this.playing) this.redraw();
    });
  };

  /** Draw at once; returns the milliseconds that it took. */
  drawNow(): number {
    const started = performance.now();
    this.#draw();
    return performance.now() - started;
  }

  #advance(now: number): void {
    if (!this.playing) return;
    const passed = Math.min(now - this.#last, 250);
    this.#last = now;
    const from = this.now();
    const end = this.range()[1];
    let t = Math.min(from + passed * this.view.speed, end);
    const halt = this.view.predict ? (this.halts?.(from, t) ?? null) : null;
    if (halt !== null) {
      t = halt;
      this.playing = false;
    }
    this.view = { ...this.view, t };
    if (t >= end) this.playing = false;
    if (!this.playing) this.#writeSoon();
  }

  #draw(): void {
    const [from, to] = this.range();
    const t = this.now();
    this.fold.seek(t);
    this.against?.fold.seek(t);
    const frame: Frame = { t, from, to, palette: this.#palette, view: this.view };
    this.#toolbar.draw(frame, this.playing, this.view, this.view.t === null);
    this.#axis.draw(frame);
    for (const panel of this.#panels) panel.draw(frame);
  }

  #repaint(): void {
    this.#palette = readPalette();
    this.patterns.clear();
    this.redraw();
  }

  #applyTheme(): void {
    const { theme } = this.view;
    if (theme === "auto") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.setAttribute("data-theme", theme);
  }

  /** Not more often than browsers allow, and not while the replay runs. */
  #writeSoon(): void {
    clearTimeout(this.#writing);
    this.#writing = setTimeout(() => {
      if (this.playing) return;
      const fragment = formatFragment(this.view);
      if (location.hash.slice(1) !== fragment) history.replaceState(null, "", `#${fragment}`);
    }, WRITE_FRAGMENT_MS);
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || this.#help.open) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (event.key === " " && target.tagName === "BUTTON") return;
    const [from, to] = this.range();
    const t = this.now();
    const speed = SPEEDS.findIndex((value) => value === this.view.speed);
    const actions: Record<string, () => void> = {
      " ": () => this.toggle(),
      ArrowLeft: () => (event.shiftKey ? this.go(t - 1000) : this.step(-1)),
      ArrowRight: () => (event.shiftKey ? this.go(t + 1000) : this.step(1)),
      ",": () => this.go(t - (to - from) / 50),
      ".": () => this.go(t + (to - from) / 50),
      Home: () => this.go(from),
      End: () => this.go(to),
      "-": () => this.set({ speed: SPEEDS[Math.max(speed - 1, 0)] }),
      "+": () => this.set({ speed: SPEEDS[Math.min(speed + 1, SPEEDS.length - 1)] }),
      z: () => this.#zoom(0.5),
      Z: () => this.#zoom(2),
      "0": () => this.set({ range: null }),
      h: () => this.set({ heat: following(HEAT_MODES, this.view.heat) }),
      d: () => this.set({ theme: following(THEMES, this.view.theme) }),
      l: () => this.root.querySelector<HTMLInputElement>(".tn-filter")?.focus(),
      n: () => this.follow(),
      Escape: () => (this.view.why ? this.set({ why: null }) : this.set({ selected: new Set() })),
      "?": () => this.#help.showModal(),
    };
    const action = actions[event.key] ?? (event.shiftKey ? undefined : actions[event.key.toLowerCase()]);
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  #zoom(factor: number): void {
    const [start, end] = this.store.span();
    const [from, to] = this.range();
    const t = Math.min(Math.max(this.now(), from), to);
    const a = Math.max(start, t - (t - from) * factor);
    const b = Math.min(end, t + (to - t) * factor);
    if (b - a >= 10) this.set({ range: b - a > (end - start) * 0.98 ? null : [a, b] });
  }
}

function following<T>(values: readonly T[], value: T): T {
  return values[(values.indexOf(value) + 1) % values.length];
}
