// SPDX-License-Identifier: Apache-2.0
import type { ClientState } from "#client";
import { drawAbout } from "./about-card.ts";
import { Bubbles } from "./bubble.ts";
import type { ChatFigures, ChatView } from "./chat.ts";
import { ContactList } from "./contact-list.ts";
import { element, type Labels } from "./dom.ts";
import { groupForm } from "./group-form.ts";
import type { TextArgs, TextKey } from "./language.ts";
import type { ChatLine } from "./lines.ts";
import type { Entry } from "./threads.ts";

/** What the controls of a pane do. */
export interface PaneActions {
  select(key: string): void;
  send(text: string): void;
  edit(line: ChatLine, text: string): void;
  recall(line: ChatLine): void;
  press(line: ChatLine, action: string): void;
  writes(): void;
  createGroup(name: string, userIds: readonly string[]): void;
  leaveGroup(): void;
  /** Blocks whom one talks to, or ends that. */
  toggleBlock(): void;
  /** Undefined: the address of the page has no card. */
  sendCard: (() => void) | undefined;
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
  readonly #bubbles: Bubbles;
  readonly #contacts: ContactList;
  readonly #title = element("h3", "thread-title");
  readonly #leaveButton = element("button", "tool leave");
  readonly #blockButton = element("button", "tool block");
  readonly #about = element("aside", "about");
  readonly #log = element("ol", "log");
  readonly #typing = element("p", "typing");
  readonly #editing = element("p", "editing");
  readonly #input = element("textarea", "input");
  readonly #state = element("span", "state");
  readonly #figures = { entry: figure(), latency: figure(), reconnects: figure(), waiting: figure() };
  readonly #onlineButton = element("button", "button");
  readonly #killButton = element("button", "button");
  readonly #connectButton = element("button", "button primary");
  /** What is seen of each line. */
  readonly #seen = new Map<string, HTMLElement>();
  #edited: ChatLine | undefined;
  #kind: Entry["kind"] = "person";
  #isOnline = true;

  constructor(name: string, peer: string, labels: Labels, actions: PaneActions) {
    this.#labels = labels;
    this.#actions = actions;
    this.#bubbles = new Bubbles(labels, { ...actions, edit: (line) => this.#edit(line) });
    this.#contacts = new ContactList(name, labels, (key) => actions.select(key));
    const title = element("h2", "", name);
    title.id = `pane-${name}`;
    const makeGroup = groupForm(peer, labels, (...group) => actions.createGroup(...group));
    const side = element("div", "side", this.#contacts.root, makeGroup);
    const thread = element(
      "div",
      "thread",
      this.#threadHeader(),
      this.#about,
      this.#scroller(name),
      this.#typing,
      this.#editing,
    );
    thread.append(this.#form());
    this.root = element(
      "section",
      "pane",
      this.#header(title),
      this.#figureList(),
      element("div", "talk", side, thread),
    );
    this.root.append(this.#controls());
    this.root.setAttribute("aria-labelledby", title.id);
    this.root.dataset.user = name;
    this.state({ kind: "idle" });
  }

  show(entry: Entry, lines: readonly ChatLine[]): void {
    this.#kind = entry.kind;
    this.#stopEditing();
    this.#title.textContent = entry.title;
    drawAbout(this.#about, entry.about, this.#labels);
    this.#leaveButton.hidden = entry.kind !== "group";
    this.#blockButton.hidden = entry.kind !== "person";
    this.#labels.set(this.#input, "write", { peer: entry.title }, "aria-label");
    this.#labels.set(this.#input, "write", { peer: entry.title }, "placeholder");
    this.#log.replaceChildren();
    this.#seen.clear();
    for (const line of lines) this.add(line);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  add(line: ChatLine): void {
    const root = this.#bubbles.draw(line, this.#kind !== "person");
    this.#seen.set(line.key, root);
    root.dataset.key = line.key;
    this.#append(root);
  }

  update(line: ChatLine): void {
    const root = this.#seen.get(line.key);
    if (root) this.#bubbles.draw(line, this.#kind !== "person", root);
  }

  contacts(entries: readonly Entry[]): void {
    this.#contacts.show(entries);
    const current = entries.find(({ isSelected }) => isSelected);
    if (!current) return;
    this.#title.textContent = current.title;
    drawAbout(this.#about, current.about, this.#labels);
  }

  blocked(isBlocked: boolean): void {
    this.#labels.set(this.#blockButton, isBlocked ? "unblock" : "block");
  }

  typing(userIds: readonly string[]): void {
    this.#labels.set(this.#typing, userIds.length === 0 ? "nobodyTypes" : "typing", { users: userIds.join(", ") });
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

  #threadHeader(): HTMLElement {
    this.#leaveButton.type = "button";
    this.#labels.set(this.#leaveButton, "groupLeave").addEventListener("click", () => this.#actions.leaveGroup());
    this.#blockButton.type = "button";
    this.blocked(false);
    this.#blockButton.addEventListener("click", () => this.#actions.toggleBlock());
    return element("div", "thread-header", this.#title, this.#leaveButton, this.#blockButton);
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
    this.#typing.setAttribute("aria-live", "polite");
    return this.#labels.set(this.#log, "messages", { name }, "aria-label");
  }

  #form(): HTMLElement {
    const button = this.#labels.set(element("button", "button primary"), "send");
    button.type = "submit";
    this.#input.rows = 1;
    this.#input.maxLength = 10_000;
    const form = element("form", "write", this.#input, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("input", () => this.#actions.writes());
    this.#input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#stopEditing();
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
    const edited = this.#edited;
    this.#stopEditing();
    this.#input.value = "";
    if (edited) this.#actions.edit(edited, text);
    else this.#actions.send(text);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** What is written next replaces this message. */
  #edit(line: ChatLine): void {
    if (line.body.kind !== "text") return;
    this.#edited = line;
    this.#input.value = line.body.text;
    const cancel = this.#labels.set(element("button", "tool"), "cancel");
    cancel.type = "button";
    cancel.addEventListener("click", () => this.#stopEditing());
    this.#editing.replaceChildren(this.#labels.set(element("span"), "editing"), cancel);
    this.#input.focus();
  }

  #stopEditing(): void {
    if (this.#edited) this.#input.value = "";
    this.#edited = undefined;
    this.#editing.replaceChildren();
  }

  #controls(): HTMLElement {
    const burst = this.#labels.set(element("button", "button"), "burst");
    burst.addEventListener("click", () => this.#actions.burst());
    this.#labels.set(this.#killButton, "kill").addEventListener("click", () => this.#actions.kill());
    this.#labels.set(this.#connectButton, "takeOver").addEventListener("click", () => this.#actions.connect());
    this.#labels.set(this.#onlineButton, "goOffline").addEventListener("click", () => this.#toggleOnline());
    const card = this.#labels.set(element("button", "button"), "sendCard");
    card.hidden = this.#actions.sendCard === undefined;
    card.addEventListener("click", () => this.#actions.sendCard?.());
    const buttons = [this.#connectButton, this.#onlineButton, this.#killButton, burst, card];
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
    while (log.childElementCount > MAX_LINES) {
      const old = log.firstElementChild;
      if (old instanceof HTMLElement && old.dataset.key !== undefined) this.#seen.delete(old.dataset.key);
      old?.remove();
    }
    if (isAtBottom) log.scrollTop = log.scrollHeight;
  }
}

function figure(): HTMLElement {
  return element("dd", "", "–");
}
