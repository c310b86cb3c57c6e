// SPDX-License-Identifier: Apache-2.0

/**
 * An element with attributes and children. Strings become text nodes, so that nothing that a user wrote is ever read as HTML.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * A table that is read as one although narrow screens show its rows as cards: each cell bears its heading.
 *
 * @param {string} caption
 * @param {readonly string[]} headings
 * @param {readonly (readonly (Node | string)[])[]} rows
 */
export function table(caption, headings, rows) {
  const head = element(
    "thead",
    { role: "rowgroup" },
    element(
      "tr",
      { role: "row" },
      ...headings.map((text) => element("th", { scope: "col", role: "columnheader" }, text)),
    ),
  );
  const lines = rows.map((cells) =>
    element(
      "tr",
      { role: "row" },
      ...cells.map((cell, at) => element("td", { role: "cell", "data-heading": headings[at] ?? "" }, cell)),
    ),
  );
  return element(
    "table",
    { role: "table" },
    element("caption", {}, caption),
    head,
    element("tbody", { role: "rowgroup" }, ...lines),
  );
}

/**
 * @param {readonly (readonly [string, Node | string])[]} pairs
 */
export function facts(pairs) {
  return element(
    "dl",
    { class: "facts" },
    ...pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

/**
 * @param {string} kind good, warn, bad or plain: how it is coloured
 * @param {string} text
 */
export function badge(kind, text) {
  return element("span", { class: "badge", "data-kind": kind }, text);
}

/**
 * @param {string} text
 * @param {() => void} onClick
 * @param {string} [className]
 */
export function button(text, onClick, className = "") {
  const made = element("button", { type: "button", class: className }, text);
  made.addEventListener("click", onClick);
  return made;
}

/**
 * A field with its label.
 *
 * @param {string} label
 * @param {Record<string, string>} attributes with an id
 */
export function field(label, attributes) {
  const input = element("input", { autocomplete: "off", autocapitalize: "off", spellcheck: "false", ...attributes });
  return {
    input,
    box: element("div", { class: "field" }, element("label", { for: attributes.id ?? "" }, label), input),
  };
}

/**
 * A form that is handled here; the page's policy lets none be sent anywhere.
 *
 * @param {() => void} onSubmit
 * @param {...Node} children
 */
export function form(onSubmit, ...children) {
  const made = element("form", { class: "ask" }, ...children);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    onSubmit();
  });
  return made;
}
