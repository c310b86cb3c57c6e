// SPDX-License-Identifier: Apache-2.0
import type { ClientState } from "#client";
import type { ChatFigures, ChatMessage, ChatView } from "./chat.ts";
import { element, type Labels } from "./dom.ts";
import type { TextArgs, TextKey } from "./language.ts";

/** What the controls of a pane do. */
export interface PaneActions {
  send(text: string): void;
  burst(): void;
  kill(): void;
  setOnline(isOnline: boolean): void;
  connect(): void;
}

const FIGURES = ["entry", "latency", "reconnects", "waiting"] as const;
/** Lines kept in the page. */
const MAX_LINES = 400;
const NEAR_BOTTOM_PX = 60;

/** One person's half of the page. */
export class Pane implements ChatView {
  readonly root: HTMLElement;
  readonly #labels: Labels;
  readonly #actions: PaneActions;
  readonly #log = element("ol", "log");
  readonly #input = element("textarea", "input");
  readonly #state = element("span", "state");
  readonly #figures = { entry: figure(), latency: figure(), reconnects: figure(), waiting: figure() };
  readonly #onlineButton = element("button", "button");
  readonly #killButton = element("button", "button");
  readonly #connectButton = element("button", "button primary");
  /** Progress marks of own messages by key. */
  readonly #marks = new Map<string, HTMLElement>();
  #isOnline = true;

  constructor(name: string, peer: string, labels: Labels, actions: PaneActions) {
    this.#labels = labels;
    this.#actions = actions;
    const title = element("h2", "", name);
    title.id = `pane-${name}`;
    this.root = element("section", "pane", this.#header(title), this.#figureList(), this.#scroller(name));
    this.root.append(this.#form(peer), this.#controls());
    this.root.setAttribute("aria-labelledby", title.id);
    this.root.dataset.user = name;
    this.state({ kind: "idle" });
  }

  add(message: ChatMessage): void {
    const text = element("p", "text", message.text);
    text.dir = "auto";
    const time = element("time", "", new Date(message.atMs).toLocaleTimeString());
    const meta = element("span", "meta", time);
    const line = element("li", message.isMine ? "line mine" : "line theirs", text, meta);
    if (message.isMine) {
      const mark = element("span", "progress");
      meta.append(" · ", mark);
      this.#marks.set(message.key, mark);
      this.update(message);
    }
    this.#append(line);
  }

  update(message: ChatMessage): void {
    const mark = this.#marks.get(message.key);
    if (mark === undefined) return;
    mark.dataset.progress = message.progress;
    this.#labels.set(mark, message.progress, { reason: message.reason });
    // Nothing comes after these; forgetting them keeps the map small.
    if (message.progress === "delivered" || message.progress === "failed") this.#marks.delete(message.key);
  }

  notice(key: TextKey, args: TextArgs = {}): void {
    this.#append(this.#labels.set(element("li", "notice"), key, args));
  }

  state(state: ClientState): void {
    this.#state.dataset.state = state.kind;
    this.#labels.set(this.#state, state.kind);
    const isClosed = state.kind === "closed";
    this.#connectButton.hidden = !isClosed;
    this.#onlineButton.hidden = isClosed;
    this.#killButton.disabled = state.kind !== "open";
  }

  figures({ entry, p50Ms, p99Ms, reconnects, waiting }: ChatFigures): void {
    const ms = (value: number): string => (value < 10 ? value.toFixed(1) : Math.round(value).toString());
    this.#figures.entry.textContent = entry || "–";
    this.#figures.reconnects.textContent = String(reconnects);
    this.#figures.waiting.textContent = String(waiting);
    if (p50Ms === undefined || p99Ms === undefined) return;
    this.#labels.set(this.#figures.latency, "milliseconds", { ms: `${ms(p50Ms)} / ${ms(p99Ms)}` });
  }

  #header(title: HTMLElement): HTMLElement {
    this.#state.setAttribute("role", "status");
    return element("header", "", title, this.#state);
  }

  #figureList(): HTMLElement {
    const list = element("dl", "figures");
    for (const key of FIGURES) {
      const term = this.#labels.set(element("dt"), key);
      list.append(element("div", `figure ${key}`, term, this.#figures[key]));
    }
    return list;
  }

  #scroller(name: string): HTMLElement {
    this.#log.setAttribute("role", "log");
    this.#log.tabIndex = 0;
    return this.#labels.set(this.#log, "messages", { name }, "aria-label");
  }

  #form(peer: string): HTMLElement {
    const button = this.#labels.set(element("button", "button primary"), "send");
    button.type = "submit";
    this.#labels.set(this.#input, "write", { peer }, "aria-label");
    this.#labels.set(this.#input, "write", { peer }, "placeholder");
    this.#input.rows = 1;
    this.#input.maxLength = 10_000;
    const form = element("form", "write", this.#input, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("keydown", (event) => {
      // While an input method composes, Enter chooses a candidate.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#submit();
    });
    return form;
  }

  #submit(): void {
    const text = this.#input.value.trim();
    if (text === "") return;
    this.#input.value = "";
    this.#actions.send(text);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  #controls(): HTMLElement {
    const burst = this.#labels.set(element("button", "button"), "burst");
    burst.addEventListener("click", () => this.#actions.burst());
    this.#labels.set(this.#killButton, "kill").addEventListener("click", () => this.#actions.kill());
    this.#labels.set(this.#connectButton, "takeOver").addEventListener("click", () => this.#actions.connect());
    this.#labels.set(this.#onlineButton, "goOffline").addEventListener("click", () => this.#toggleOnline());
    const buttons = [this.#connectButton, this.#onlineButton, this.#killButton, burst];
    for (const button of buttons) button.type = "button";
    return element("div", "controls", ...buttons);
  }

  #toggleOnline(): void {
    this.#isOnline = !this.#isOnline;
    this.#labels.set(this.#onlineButton, this.#isOnline ? "goOffline" : "goOnline");
    this.#onlineButton.classList.toggle("primary", !this.#isOnline);
    this.#actions.setOnline(this.#isOnline);
  }

  #append(line: HTMLElement): void {
    const log = this.#log;
    const isAtBottom = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_BOTTOM_PX;
    log.append(line);
    while (log.childElementCount > MAX_LINES) log.firstElementChild?.remove();
    if (isAtBottom) log.scrollTop = log.scrollHeight;
  }
}

function figure(): HTMLElement {
  return element("dd", "", "–");
}
