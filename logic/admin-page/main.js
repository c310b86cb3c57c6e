// SPDX-License-Identifier: Apache-2.0
import { Api, isKey } from "./api.js";
import { openBroadcasts } from "./broadcasts-view.js";
import { Context } from "./context.js";
import { button, element, field, form } from "./dom.js";
import { openDrains } from "./drains-view.js";
import { openFleet } from "./fleet-view.js";
import { LOCALES, preferredLanguage, textOf } from "./language.js";
import { openLetters } from "./letters-view.js";
import { openMessage } from "./message-view.js";
import { hashOf, placeOf, VIEWS } from "./place.js";
import { openUser } from "./user-view.js";

/**
 * @import { TextKey } from "./language.js"
 * @import { ViewName } from "./place.js"
 */

const LANGUAGE_KEY = "imcluster-language";
const MAKE_KEY =
  "node logic/server-api/keys-main.ts create --name admin --days 30 \\\n  --scopes fleet:read,users:read,messages:read,broadcasts:read,dead-letters:read";

/** @type {Record<ViewName, (context: Context) => void>} */
const OPEN = {
  fleet: openFleet,
  drains: openDrains,
  user: openUser,
  message: openMessage,
  broadcasts: openBroadcasts,
  letters: openLetters,
};

/** The page: who looks, in which language, at what. */
class Page {
  /** @type {Api | undefined} */
  #api;
  /** @type {Context | undefined} */
  #context;
  /** @type {HTMLButtonElement | undefined} */
  #languageButton;
  #language = preferredLanguage([localStorage.getItem(LANGUAGE_KEY) ?? "", ...navigator.languages]);
  #header = element("header", { class: "top" });
  #main = element("main", { id: "content", tabindex: "-1" });
  #status = element("p", { class: "status", role: "status" });

  start() {
    document.body.replaceChildren(this.#header, this.#status, this.#main);
    addEventListener("hashchange", () => this.#show());
    document.addEventListener("visibilitychange", () => this.#context?.refresher?.onVisibility());
    for (const type of ["pointermove", "pointerdown", "keydown"])
      addEventListener(type, () => this.#context?.refresher?.touch(), { passive: true });
    this.#show();
  }

  /**
   * @param {TextKey} key
   * @param {Record<string, string>} [args]
   */
  #text(key, args) {
    return textOf(this.#language, key, args);
  }

  /** @param {TextKey} [fault] why there is no key */
  #show(fault) {
    this.#context?.end();
    this.#context = undefined;
    this.#status.textContent = "";
    document.documentElement.lang = LOCALES[this.#language];
    const { view, words } = placeOf(location.hash);
    const api = this.#api;
    document.title = api ? `${this.#text(view)} – ${this.#text("title")}` : this.#text("title");
    this.#showHeader(api, view);
    if (!api) {
      this.#askForKey(fault);
      return;
    }
    const box = element("div", { class: "stack" });
    this.#main.replaceChildren(element("h1", {}, this.#text(view)), box);
    const context = new Context({
      ...{ api, language: this.#language, words, box, status: this.#status },
      onBadKey: () => this.#forget("badKey"),
    });
    this.#context = context;
    OPEN[view](context);
  }

  /**
   * @param {Api | undefined} api
   * @param {ViewName} current
   */
  #showHeader(api, current) {
    const links = VIEWS.map((view) => this.#link(view, view === current));
    const tools = element("div", { class: "tools" });
    if (api) tools.append(button(this.#text("forget", { id: api.keyId }), () => this.#forget()));
    this.#languageButton = button(this.#text("language"), () => this.#switchLanguage());
    tools.append(this.#languageButton);
    const skip = button(this.#text("skip"), () => this.#main.focus(), "skip");
    const name = element("span", { class: "name" }, this.#text("title"));
    const nav = api ? [element("nav", { "aria-label": this.#text("views") }, ...links)] : [];
    this.#header.replaceChildren(skip, name, tools, ...nav);
  }

  /**
   * @param {ViewName} view
   * @param {boolean} isCurrent
   */
  #link(view, isCurrent) {
    const hash = hashOf(view);
    const link = element("a", { href: hash, ...(isCurrent ? { "aria-current": "page" } : {}) }, this.#text(view));
    // The browser says nothing of a change where there is none: then it is asked for again.
    link.addEventListener("click", () => {
      if (location.hash === hash) this.#show();
    });
    return link;
  }

  #switchLanguage() {
    this.#language = this.#language === "en" ? "zh" : "en";
    localStorage.setItem(LANGUAGE_KEY, this.#language);
    this.#show();
    // The button is a new one.
    this.#languageButton?.focus();
  }

  /** @param {TextKey} [fault] */
  #forget(fault) {
    this.#api = undefined;
    this.#show(fault);
  }

  /** @param {TextKey} [fault] */
  #askForKey(fault) {
    const attributes = { id: "key", type: "password", required: "", maxlength: "200" };
    const { input, box } = field(this.#text("key"), { ...attributes, "aria-describedby": "key-why" });
    const ask = form(
      () => {
        const text = input.value.trim();
        input.value = "";
        if (!isKey(text)) {
          this.#show("noKey");
          return;
        }
        this.#api = new Api(text);
        this.#show();
      },
      box,
      element("button", { type: "submit", class: "primary" }, this.#text("open")),
    );
    const alert = fault ? [element("p", { class: "problem", role: "alert" }, this.#text(fault))] : [];
    this.#main.replaceChildren(
      element("h1", {}, this.#text("signIn")),
      ...alert,
      ask,
      element("p", { id: "key-why", class: "hint" }, this.#text("signInWhy")),
      element("p", { class: "hint" }, this.#text("signInHow")),
      element("pre", { tabindex: "0" }, MAKE_KEY),
      element("p", { class: "hint" }, this.#text("signInAct")),
    );
    input.focus();
  }
}

new Page().start();
