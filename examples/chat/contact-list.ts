// SPDX-License-Identifier: Apache-2.0
import { element, type Labels } from "./dom.ts";
import type { TextKey } from "./language.ts";
import { type LineBody, previewOf } from "./lines.ts";
import type { Entry } from "./threads.ts";

const MAX_SHOWN = 100;
const MARKS: Readonly<Record<Entry["kind"], string>> = { person: "", group: "👥 ", service: "🔔 " };

/** The list of one side's conversations; each is a button. */
export class ContactList {
  readonly root: HTMLElement;
  readonly #labels: Labels;
  readonly #list = element("ul", "contacts");
  readonly #onSelect: (key: string) => void;

  constructor(name: string, labels: Labels, onSelect: (key: string) => void) {
    this.#labels = labels;
    this.#onSelect = onSelect;
    this.root = labels.set(element("nav", "", this.#list), "conversations", { name }, "aria-label");
  }

  show(entries: readonly Entry[]): void {
    const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
    const hasFocus = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...entries.slice(0, MAX_SHOWN).map((entry) => this.#item(entry)));
    if (hasFocus && focused !== undefined)
      this.#list.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  #item(entry: Entry): HTMLElement {
    const button = element("button", "contact");
    button.type = "button";
    button.dataset.key = entry.key;
    button.dataset.kind = entry.kind;
    if (entry.isSelected) button.setAttribute("aria-current", "true");
    const title = element("span", "contact-title", `${MARKS[entry.kind]}${entry.title}`);
    button.append(title, ...aboutOf(entry), this.#preview(entry));
    if (entry.unread > 0) {
      const count = entry.unread > 99 ? "99+" : String(entry.unread);
      button.append(this.#labels.set(element("span", "unread", count), "unread", { count }, "aria-label"));
    }
    button.addEventListener("click", () => this.#onSelect(entry.key));
    return element("li", "", button);
  }

  #preview({ last, isTyping }: Entry): HTMLElement {
    const preview = element("span", "preview");
    preview.dir = "auto";
    if (isTyping) return this.#labels.set(preview, "typingShort");
    const text = last && previewOf(last);
    if (text !== undefined) preview.textContent = text.slice(0, 80);
    else if (last) this.#labels.set(preview, KINDS[last.kind] ?? "otherContent", { type: "" });
    return preview;
  }
}

function aboutOf({ about }: Entry): HTMLElement[] {
  if (!about) return [];
  const line = element("span", "contact-about", about.title);
  line.dir = "auto";
  return [line];
}

const KINDS: Partial<Readonly<Record<LineBody["kind"], TextKey>>> = { recalled: "recalled", group: "groupChanged" };
