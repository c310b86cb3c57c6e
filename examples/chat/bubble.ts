// SPDX-License-Identifier: Apache-2.0
import type { Card, GroupEvent } from "../../client/src/models/index.ts";
import { element, type Labels } from "./dom.ts";
import type { TextKey } from "./language.ts";
import { type ChatLine, cardFacts, cardTitle, type LineBody, type Notification } from "./lines.ts";

/** What can be done with a message. */
export interface BubbleActions {
  edit(line: ChatLine): void;
  recall(line: ChatLine): void;
  press(line: ChatLine, action: string): void;
}

const GROUP_TEXTS: Readonly<Record<GroupEvent["kind"], TextKey>> = {
  created: "groupCreated",
  invited: "groupInvited",
  removed: "groupRemoved",
  left: "groupLeft",
  role: "groupRole",
  renamed: "groupRenamed",
};

/** Makes what is seen of a message. */
export class Bubbles {
  readonly #labels: Labels;
  readonly #actions: BubbleActions;

  constructor(labels: Labels, actions: BubbleActions) {
    this.#labels = labels;
    this.#actions = actions;
  }

  /** A new element, or another content of the one that is there. */
  draw(line: ChatLine, showsSender: boolean, root: HTMLElement = element("li")): HTMLElement {
    const { body } = line;
    root.className = body.kind === "group" ? "notice" : `line ${line.isMine ? "mine" : "theirs"} is-${body.kind}`;
    if (body.kind === "group") {
      this.#groupText(body.event, root);
      return root;
    }
    const sender = element("span", "sender", line.sender.replace(/^svc:/, ""));
    root.replaceChildren(...(showsSender && !line.isMine ? [sender] : []), ...this.#content(line), this.#meta(line));
    return root;
  }

  #content(line: ChatLine): HTMLElement[] {
    const { body } = line;
    switch (body.kind) {
      case "card":
        return [this.#card(body.card, line)];
      case "notification":
        return [this.#notification(body.notification)];
      default:
        return [this.#text(body)];
    }
  }

  #text(body: Exclude<LineBody, { kind: "card" | "notification" }>): HTMLElement {
    const text = element("p", "text");
    text.dir = "auto";
    if (body.kind === "text") text.textContent = body.text;
    else if (body.kind === "recalled") this.#labels.set(text, "recalled");
    else if (body.kind === "other") this.#labels.set(text, "otherContent", { type: body.contentType });
    return text;
  }

  #card(card: Card, line: ChatLine): HTMLElement {
    const title = element("h3", "", cardTitle(card));
    title.dir = "auto";
    const kind = this.#labels.set(element("span", "card-kind"), CARD_KINDS[card.type] ?? "cardItem");
    const root = element("article", "card", kind, title, factList(cardFacts(card)));
    root.dataset.version = String(card.version);
    const buttons = card.actions.map(({ id, label }) => {
      const button = element("button", "button", label);
      button.type = "button";
      button.addEventListener("click", () => this.#actions.press(line, id));
      return button;
    });
    if (buttons.length > 0) root.append(element("div", "card-buttons", ...buttons));
    return root;
  }

  #notification({ title, text, facts }: Notification): HTMLElement {
    const heading = element("h3", "", title);
    const root = element("article", "card", heading);
    if (text !== "") root.append(element("p", "text", text));
    root.append(factList(facts));
    return root;
  }

  #groupText({ kind, actor, users, name = "", role }: GroupEvent, root: HTMLElement): void {
    this.#labels.set(root, GROUP_TEXTS[kind], { actor, users: users.join(", "), name, role: role ?? "" });
  }

  #meta(line: ChatLine): HTMLElement {
    const meta = element("span", "meta", element("time", "", new Date(line.atMs).toLocaleTimeString()));
    const { body } = line;
    if (body.kind === "text" && body.isEdited)
      meta.append(" · ", this.#labels.set(element("span", "edited"), "edited"));
    if (!line.isMine) return meta;
    const mark = element("span", "progress");
    mark.dataset.progress = line.progress;
    this.#labels.set(mark, line.progress, { reason: line.reason });
    meta.append(" · ", mark);
    if (line.ref && body.kind === "text") meta.append(this.#tool("edit", line));
    if (line.ref && body.kind !== "recalled") meta.append(this.#tool("recall", line));
    return meta;
  }

  #tool(what: "edit" | "recall", line: ChatLine): HTMLElement {
    const button = this.#labels.set(element("button", `tool ${what}`), what);
    button.type = "button";
    button.addEventListener("click", () => this.#actions[what](line));
    return button;
  }
}

export const CARD_KINDS: Readonly<Record<string, TextKey>> = {
  item: "cardItem",
  order: "cardOrder",
  offer: "cardOffer",
};

function factList(facts: readonly (readonly [name: string, value: string])[]): HTMLElement {
  const list = element("dl", "facts");
  for (const [name, value] of facts) list.append(element("div", "", element("dt", "", name), element("dd", "", value)));
  return list;
}
