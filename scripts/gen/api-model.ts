// SPDX-License-Identifier: Apache-2.0
// The part of API Extractor's *.api.json that the reference of the SDK is made from.

/** One exported symbol, or a member of one. */
export interface ApiItem {
  readonly kind: string;
  /** Absent for constructors. */
  readonly name?: string;
  /** With the comment marks; empty when there is none. */
  readonly docComment?: string;
  /** The declaration in pieces. */
  readonly excerptTokens?: readonly { readonly text: string }[];
  readonly members?: readonly ApiItem[];
  /** File of the declaration, relative to the package, e.g. `dist/client.d.ts`. */
  readonly fileUrlPath?: string;
  readonly isOptional?: boolean;
}

/** What one entry point of the package exports. */
export interface EntryPoint {
  /** What an application imports from, e.g. `@imcluster/client/node`. */
  readonly module: string;
  /** Exports in alphabetical order. */
  readonly items: readonly ApiItem[];
  /** The API report: every signature, for review. */
  readonly report: string;
}

/** A declaration on one line. */
export function signatureOf({ excerptTokens = [] }: ApiItem): string {
  return excerptTokens
    .map(({ text }) => text)
    .join("")
    .replace(/\s+/g, " ")
    .trim();
}

/** A doc comment without its marks: the text, and what stands behind each tag. */
export interface Doc {
  readonly text: string;
  /** By name and in order, e.g. `throws`. */
  readonly tags: readonly { readonly name: string; readonly text: string }[];
}

/** Reads a comment; lines of one paragraph are joined. */
export function docOf({ docComment = "" }: ApiItem): Doc {
  const lines = docComment
    .replace(/^\/\*\*|\*\/\s*$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""));
  const [text = "", ...tags] = lines.join("\n").split(/(?:^|\s)@(?=(?:throws|param|returns)\b)/);
  return { text: joined(text), tags: tags.map(tagOf) };
}

function tagOf(tag: string): { name: string; text: string } {
  const [, name = "", text = ""] = /^(\w+)\s*([\s\S]*)$/.exec(tag) ?? [];
  return { name, text: joined(text) };
}

function joined(text: string): string {
  return text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.trim().replace(/\s*\n\s*/g, " "))
    .filter((paragraph) => paragraph !== "")
    .join("\n\n");
}
