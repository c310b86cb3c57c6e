// SPDX-License-Identifier: Apache-2.0
// What the checks of the documentation look at in a page: anchors, links, blocks of code, and the words in code spans.

/** A block between two lines of three backticks. */
export interface Fence {
  readonly language: string;
  readonly text: string;
  /** Of the opening line, from 1. */
  readonly line: number;
  /** Contents of the comments directly above it, in order. */
  readonly notes: readonly string[];
}

/** A link or picture: `[text](target)`. */
export interface Link {
  readonly target: string;
  readonly line: number;
}

/** One `code span` of the text. */
export interface Span {
  readonly text: string;
  readonly line: number;
}

/** A page, taken apart. */
export interface Page {
  readonly path: string;
  readonly anchors: ReadonlySet<string>;
  readonly fences: readonly Fence[];
  readonly links: readonly Link[];
  readonly spans: readonly Span[];
}

const FENCE = /^(\s*)```+\s*([\w-]*)/;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/;
const NOTE = /^<!--\s*(.*?)\s*-->$/;
const SPAN = /(`+)(.+?)\1/g;
const LINK = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;
const HTML_TARGET = /<(?:a|img)\s[^>]*?(?:href|src)="([^"]+)"/g;
const HTML_ANCHOR = /<a\s[^>]*?(?:id|name)="([^"]+)"/g;

/** The anchor that GitHub gives a heading. */
export function slugOf(heading: string): string {
  const words = heading
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/<[^>]+>/g, "")
    .replace(/[`*]/g, "");
  return words
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}\s_-]/gu, "")
    .trim()
    .replace(/\s/g, "-");
}

interface Draft {
  anchors: Set<string>;
  fences: Fence[];
  links: Link[];
  spans: Span[];
}

function readLine(draft: Draft, text: string, line: number): void {
  for (const [, , words = ""] of text.matchAll(SPAN)) draft.spans.push({ text: words.trim(), line });
  // A link's text may be a code span; a link within a code span is none.
  const bare = text.replace(SPAN, (whole) => " ".repeat(whole.length));
  for (const pattern of [LINK, HTML_TARGET])
    for (const [, target = ""] of bare.matchAll(pattern)) draft.links.push({ target, line });
  for (const [, id = ""] of bare.matchAll(HTML_ANCHOR)) draft.anchors.add(id);
  const heading = HEADING.exec(text)?.[1];
  if (heading === undefined) return;
  const slug = slugOf(heading);
  let name = slug;
  for (let n = 1; draft.anchors.has(name); n++) name = `${slug}-${n}`;
  draft.anchors.add(name);
}

/** Takes a page apart. @param path relative to the root of the tree */
export function readPage(path: string, markdown: string): Page {
  const draft: Draft = { anchors: new Set(), fences: [], links: [], spans: [] };
  const lines = markdown.split("\n");
  let notes: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const text = lines[at] ?? "";
    const open = FENCE.exec(text);
    if (open) {
      const end = lines.findIndex((line, i) => i > at && /^\s*```+\s*$/.test(line));
      const last = end === -1 ? lines.length : end;
      const content = lines.slice(at + 1, last).join("\n");
      draft.fences.push({ language: open[2] ?? "", text: content, line: at + 1, notes });
      notes = [];
      at = last;
      continue;
    }
    const note = NOTE.exec(text.trim())?.[1];
    if (note !== undefined) notes.push(note);
    else if (text.trim() !== "") notes = [];
    readLine(draft, text, at + 1);
  }
  return { path, ...draft };
}
