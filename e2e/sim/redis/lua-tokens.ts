// SPDX-License-Identifier: Apache-2.0

/** One token of Lua source. */
export interface Token {
  kind: "name" | "keyword" | "number" | "string" | "symbol" | "end";
  /** For strings the value, else the source text. */
  text: string;
  line: number;
}

const KEYWORDS = new Set(
  "and break do else elseif end false for function if in local nil not or repeat return then true until while".split(
    " ",
  ),
);
const TOKEN =
  /\s+|--\[\[[\s\S]*?\]\]|--[^\n]*|[A-Za-z_]\w*|0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.]/y;
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "0": "\0",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

/** Cuts Lua source into tokens. @throws SyntaxError with the line */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const at = TOKEN.lastIndex;
    const text = TOKEN.exec(source)?.[0];
    if (text === undefined) throw new SyntaxError(`line ${line}: what is ${JSON.stringify(source.slice(at, at + 12))}`);
    const kind = kindOf(text);
    if (kind) tokens.push({ kind, text: kind === "string" ? unquote(text) : text, line });
    line += text.split("\n").length - 1;
  }
  tokens.push({ kind: "end", text: "end of script", line });
  return tokens;
}

function kindOf(text: string): Token["kind"] | undefined {
  if (/^\s|^--/.test(text)) return undefined;
  if (/^[A-Za-z_]/.test(text)) return KEYWORDS.has(text) ? "keyword" : "name";
  if (/^\d/.test(text)) return "number";
  return /^["']/.test(text) ? "string" : "symbol";
}

function unquote(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char);
}
