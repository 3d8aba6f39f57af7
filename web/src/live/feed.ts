import { decode, type Delta, type RunDocument } from "../document";

export interface LiveOptions {
  /** Where the server's addresses begin; "" is this page's server. */
  base: string;
  token: string;
  readOnly: boolean;
  /** An address for a class, that may look and not touch. */
  link?: string | null;
}

export interface VerbRequest {
  verb: string;
  nodes?: string[];
  sides?: string[][];
  qualities?: Record<string, string>;
  name?: string;
}

export interface VerbAnswer {
  ok: boolean;
  text: string;
  command?: string;
  yaml?: string;
}

export interface FeedListener {
  delta(delta: Delta): void;
  reset(document: RunDocument): void;
  status(text: string, connected: boolean): void;
}

interface Message {
  seq?: number;
  delta?: Delta;
  reset?: boolean;
}

const RETRY_MS = [500, 1000, 2000, 5000];

/** The complete messages in a server-sent event stream's text, and the rest that has no end yet. */
export function splitEvents(text: string): { messages: string[]; rest: string } {
  const parts = text.replace(/\r\n?/g, "\n").split("\n\n");
  const rest = parts.pop() ?? "";
  const messages = parts.flatMap((part) => {
    const data = part.split("\n").flatMap((line) => (line.startsWith("data:") ? [line.slice(5).trimStart()] : []));
    return data.length > 0 ? [data.join("\n")] : [];
  });
  return { messages, rest };
}

/** The connection to a running lab: deltas come in, verbs go out. It comes back by itself. */
export class Feed {
  readonly #options: LiveOptions;
  readonly #listener: FeedListener;
  readonly #stop = new AbortController();
  #seq: number;

  constructor(options: LiveOptions, listener: FeedListener, seq: number) {
    this.#options = options;
    this.#listener = listener;
    this.#seq = seq;
  }

  async run(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; failures++) {
      try {
        await this.#follow(() => (failures = 0));
      } catch (problem) {
        if (this.#stop.signal.aborted) return;
        const text =
          problem instanceof TypeError ? "the lab's server does not answer" : String((problem as Error).message);
        this.#listener.status(`Not connected: ${text}. Trying again.`, false);
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  async act(request: VerbRequest): Promise<VerbAnswer> {
    try {
      const response = await this.#ask("/api/verbs", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(request),
      });
      const answer = (await response.json()) as Partial<VerbAnswer>;
      return {
        ...answer,
        ok: answer.ok === true,
        text: answer.text ?? `The server answered ${response.status}.`,
      };
    } catch {
      return { ok: false, text: "The lab's server does not answer: nothing was done, as far as is known." };
    }
  }

  /** What was done by hand, as a scenario; throws with the server's words. */
  async scenario(): Promise<string> {
    const response = await this.#ask("/api/scenario");
    const text = await response.text();
    if (response.ok) return text;
    let says = text;
    try {
      says = (JSON.parse(text) as { text?: string }).text ?? text;
    } catch {
      // Plain text already.
    }
    throw new Error(says || `The server answered ${response.status}.`);
  }

  #ask(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, Authorization: `Bearer ${this.#options.token}` };
    return fetch(this.#options.base + path, { ...init, headers, cache: "no-store" });
  }

  async #follow(connected: () => void): Promise<void> {
    const response = await this.#ask(`/api/stream?after=${this.#seq}`, { signal: this.#stop.signal });
    if (!response.ok || response.body === null) {
      const answer = (await response.json().catch(() => ({}))) as { text?: string };
      throw new Error(answer.text ?? `the server answered ${response.status}`);
    }
    this.#listener.status("Connected", true);
    connected();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the server has ended the stream");
      const { messages, rest } = splitEvents(text + value);
      text = rest;
      for (const message of messages) {
        if (await this.#take(JSON.parse(message) as Message)) return;
      }
    }
  }

  /** Returns true after a reset: the stream begins anew. */
  async #take(message: Message): Promise<boolean> {
    if (message.reset) {
      const response = await this.#ask("/api/document");
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      const document = await decode(await response.json());
      this.#seq = document.seq ?? 0;
      this.#listener.reset(document);
      return true;
    }
    if (message.seq !== undefined) this.#seq = message.seq;
    if (message.delta) this.#listener.delta(message.delta);
    return false;
  }
}
