// SPDX-License-Identifier: Apache-2.0
import { type Language, preferredLanguage, type TextArgs, type TextKey, textOf } from "./language.ts";

type Child = Node | string;

/** An element with a class, and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

interface Label {
  /** What is set: the text, or an attribute. */
  readonly target: "text" | "aria-label" | "placeholder";
  readonly key: TextKey;
  readonly args: TextArgs;
}

const LANGUAGE_KEY = "imcluster-language";

/** Texts of elements in the language chosen; switching it changes them all. */
export class Labels {
  /** Not kept alive by this: elements that left the page vanish from it. */
  readonly #labels = new WeakMap<Element, Label[]>();
  #language: Language;

  constructor() {
    const kept = localStorage.getItem(LANGUAGE_KEY);
    this.#language = kept === "en" || kept === "zh" ? kept : preferredLanguage(navigator.languages);
    this.#applyDocument();
  }

  get language(): Language {
    return this.#language;
  }

  /** Sets a text now and with every switch; a new one for the same target replaces it. */
  set<E extends Element>(target: E, key: TextKey, args: TextArgs = {}, where: Label["target"] = "text"): E {
    const others = (this.#labels.get(target) ?? []).filter((label) => label.target !== where);
    const label: Label = { target: where, key, args };
    this.#labels.set(target, [...others, label]);
    target.setAttribute("data-label", "");
    this.#apply(target, label);
    return target;
  }

  switch(): void {
    this.#language = this.#language === "en" ? "zh" : "en";
    localStorage.setItem(LANGUAGE_KEY, this.#language);
    this.#applyDocument();
    for (const target of document.querySelectorAll("[data-label]")) {
      for (const label of this.#labels.get(target) ?? []) this.#apply(target, label);
    }
  }

  #apply(target: Element, { target: where, key, args }: Label): void {
    const text = textOf(this.#language, key, args);
    if (where === "text") target.textContent = text;
    else target.setAttribute(where, text);
  }

  #applyDocument(): void {
    document.documentElement.lang = this.#language === "zh" ? "zh-CN" : "en";
    document.title = textOf(this.#language, "title");
  }
}
