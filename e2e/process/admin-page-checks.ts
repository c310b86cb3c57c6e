// SPDX-License-Identifier: Apache-2.0
// Run inside a page, as text: what people with weak eyes or without eyes would miss.

/** WCAG AA for text of any size. */
const MIN_CONTRAST = 4.5;

/** Texts that stand out too little from what is behind them. */
export const lowContrasts: string = `(() => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map((node) => node.data).join("").trim();
    if (text === "" || !element.checkVisibility()) continue;
    const [a, b] = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < ${MIN_CONTRAST}) found.push(text.slice(0, 40) + ": " + contrast.toFixed(2));
  }
  return found;
})()`;

/** Fields without a label, buttons and links without a name, tables without a caption. */
export const unnamedControls: string = `(() => {
  const found = [];
  for (const field of document.querySelectorAll("input")) if (field.labels.length === 0) found.push(field.outerHTML);
  for (const control of document.querySelectorAll("button, a, progress")) {
    const name = control.getAttribute("aria-label") ?? control.textContent;
    if (name.trim() === "") found.push(control.outerHTML);
  }
  for (const table of document.querySelectorAll("table")) if (!table.caption?.textContent) found.push("table without a caption");
  if (!document.documentElement.lang || !document.querySelector("main")) found.push("no language, or no main");
  return found;
})()`;
