// SPDX-License-Identifier: Apache-2.0
// What a JSON schema can say of the CRD's CEL rules. The API server checks all of them; Helm then refuses most wrong values earlier.

/** A rule of the CRD, as it is written there. */
export interface CelRule {
  rule: string;
  message: string;
}

/** Not a keyword of JSON schema: the keys that a map may have, whatever their values. */
export const ONLY_KEYS = "onlyKeys";

type Fragment = Readonly<Record<string, unknown>>;

const STRING = /'((?:[^'\\]|\\.)*)'/g;
const QUANTITY = "^([0-9]+[.]?[0-9]*|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$";
/** A number up to 255, in the address of a network of version 4. */
const BYTE = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])";
const CIDR = `^((${BYTE}[.]){3}${BYTE}/(3[0-2]|[12]?[0-9])|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$`;

/** The content of a CEL string: `\\.` in it is `\.`. */
const contentOf = (literal: string): string => literal.replace(/\\(.)/g, "$1");
const stringsOf = (text: string): string[] => [...text.matchAll(STRING)].map(([, literal = ""]) => contentOf(literal));
const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");

/** `self >= 1 && self <= 200` */
function bounds(rule: string): Fragment | undefined {
  const parts = rule.split(" && ").map((part) => /^self (>=|<=) (-?[0-9]+)$/.exec(part));
  if (parts.some((part) => part === null)) return undefined;
  return Object.fromEntries(parts.map((part) => [part?.[1] === ">=" ? "minimum" : "maximum", Number(part?.[2])]));
}

/** `self.matches('a') || self == 'b'`: a text of one of these forms. */
function alternatives(rule: string): Fragment | undefined {
  const literal = "'(?:[^'\\\\]|\\\\.)*'";
  if (!new RegExp(`^(?:self[.]matches[(]${literal}[)]|self == ${literal})(?: [|][|] |$)`).test(rule)) return undefined;
  const rest = rule.replace(new RegExp(`self[.]matches[(]${literal}[)]|self == ${literal}`, "g"), "");
  if (rest.replaceAll(" || ", "") !== "") return undefined;
  const patterns = [...rule.matchAll(new RegExp(`(matches[(]|== )(${literal})`, "g"))].map(([, kind, quoted = ""]) => {
    const text = contentOf(quoted.slice(1, -1));
    return kind === "== " ? `^${escapeRegExp(text)}$` : text;
  });
  return { pattern: patterns.length === 1 ? patterns[0] : patterns.map((pattern) => `(?:${pattern})`).join("|") };
}

/** `self in ['a', 'b']` */
function enumeration(rule: string): Fragment | undefined {
  return /^self in \[('[^']*'(, )?)+\]$/.test(rule) ? { enum: stringsOf(rule) } : undefined;
}

/** `self.all(k, k in [...])`, `self.all(k, k.matches('a'))` and `!self.exists(k, k.startsWith('a') || ...)`: which keys a map may have. */
function keys(rule: string): Fragment | undefined {
  if (/^self[.]all\(k, k in \[[^\]]*\]\)$/.test(rule)) return { [ONLY_KEYS]: stringsOf(rule) };
  const form = /^self[.]all\(k, k[.]matches\(('(?:[^'\\]|\\.)*')\)\)$/.exec(rule)?.[1];
  if (form !== undefined) return { propertyNames: { pattern: contentOf(form.slice(1, -1)) } };
  if (!/^!self[.]exists\(k, (k[.]startsWith\('[^']*'\)( [|][|] )?)+\)$/.test(rule)) return undefined;
  // propertyNames would say the same, but Helm then leaves the path out of its message.
  return { patternProperties: { [`^(${stringsOf(rule).map(escapeRegExp).join("|")})`]: false } };
}

/** Quantities, networks, and texts that must not end in something. */
function special(rule: string): Fragment | undefined {
  if (rule === "isCIDR(self)") return { pattern: CIDR };
  if (rule.startsWith("isQuantity(self) && ")) return { pattern: QUANTITY };
  if (/^self[.]all\(k, type\(self\[k\]\) == int [|][|] isQuantity\(string\(self\[k\]\)\)\)$/.test(rule))
    return { additionalProperties: { type: ["integer", "string"], minimum: 0, pattern: QUANTITY } };
  const wrongEnd = /^!self[.]endsWith\('([^']*)'\)$/.exec(rule)?.[1];
  if (wrongEnd !== undefined) return { not: { pattern: `${escapeRegExp(wrongEnd)}$` } };
  const number = /^type\(self\) == int [?] self >= ([0-9]+) : string\(self\)[.]matches\('([^']*)'\)$/.exec(rule);
  return number ? { minimum: Number(number[1]), pattern: contentOf(number[2] ?? "") } : undefined;
}

/** JSON schema keywords that say the same as the rule; undefined where there are none (it compares fields, or durations). Pure. */
export function celToSchema(rule: string): Fragment | undefined {
  return bounds(rule) ?? alternatives(rule) ?? enumeration(rule) ?? keys(rule) ?? special(rule);
}
