// SPDX-License-Identifier: Apache-2.0
import * as z from "zod";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { CONTACT_KINDS } from "./contacts.ts";
import { normalise } from "./normalise.ts";
import { squeeze } from "./word-finder.ts";

/** What may become of a message, the weakest first: of several the strongest holds. */
export const VERDICTS = ["allow", "flag", "bounce", "shadow", "block"] as const;
/**
 * `allow`: stored. `flag`: stored and noted. `bounce`: refused, and the sender is told why. `shadow`: stored for the sender alone, who is
 * answered as ever. `block`: refused without a reason.
 */
export type Verdict = (typeof VERDICTS)[number];

export const MAX_RULES = 2000;
/** Of each kind that looks at more than words: every message is held against each of them. */
export const MAX_CLOSE_RULES = 20;
/** Characters of all words and domains of a document. */
export const MAX_PATTERN_CHARS = 400_000;
export const MAX_DOCUMENT_BYTES = 1_000_000;

const WORDS_PER_RULE = 5000;

const bounds = (min: number, max: number) => z.number().int().min(min).max(max);
const common = {
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  verdict: z.enum(["flag", "bounce", "shadow", "block"]),
  /** Shown to the sender of what is bounced. */
  explanation: z.string().min(1).max(300).optional(),
  /** Not where the parties have an order. */
  unlessOrder: z.boolean().default(false),
  /** What holds while facts that the rule needs cannot be read. */
  onFault: z.enum(["open", "closed"]).default("open"),
};
const windowed = { seconds: bounds(1, 86_400) };

const contact = z.strictObject({
  ...common,
  kind: z.literal("contact"),
  finds: z.array(z.enum(CONTACT_KINDS)).min(1).max(CONTACT_KINDS.length),
  /** Parts in several messages of one sender in one conversation are put together. */
  window: z.strictObject({ messages: bounds(2, 20), seconds: bounds(1, 3600) }).optional(),
});
const words = z.strictObject({
  ...common,
  kind: z.literal("words"),
  words: z.array(z.string().min(1).max(100)).min(1).max(WORDS_PER_RULE),
});
const links = z.strictObject({
  ...common,
  kind: z.literal("links"),
  /** `listed`: links to these domains and what is below them. `unlisted`: links to all others. */
  match: z.enum(["listed", "unlisted"]),
  domains: z.array(z.string().regex(/^(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}$/)).max(WORDS_PER_RULE),
});
const rate = z.strictObject({
  ...common,
  ...windowed,
  kind: z.literal("rate"),
  per: z.enum(["sender", "pair"]),
  max: bounds(1, 10_000),
});
const stranger = z.strictObject({ ...common, kind: z.literal("stranger"), maxUnanswered: bounds(1, 100) });
const copies = z.strictObject({
  ...common,
  ...windowed,
  kind: z.literal("copies"),
  maxPeers: bounds(1, 1000),
  minChars: bounds(1, 1000).default(8),
});

const rule = z.discriminatedUnion("kind", [contact, words, links, rate, stranger, copies]);
const document = z.strictObject({
  version: z.literal(1),
  contentTypes: z.array(z.string().min(1).max(64)).min(1).max(20).default(["text/plain"]),
  rules: z.array(rule).max(MAX_RULES),
});

export type Rule = z.infer<typeof rule>;
export type RuleOf<K extends Rule["kind"]> = Extract<Rule, { kind: K }>;
/** A document that was read. */
export type PolicyDocument = z.infer<typeof document>;

/** No rule: every message is allowed. */
export const NO_RULES: PolicyDocument = { version: 1, contentTypes: ["text/plain"], rules: [] };

const MAX_PROBLEMS = 10;

/**
 * Reads a document of rules. It is closed: what is not known is a mistake.
 * @throws {ImError} BAD_REQUEST that names up to ten problems: where, what, and what to do
 */
export function readRules(text: string): PolicyDocument {
  if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES)
    throw bad([`is larger than ${MAX_DOCUMENT_BYTES} bytes: shorten its lists`]);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad([`is not JSON (${cause instanceof Error ? cause.message : "?"}): correct it there`]);
  }
  const result = document.safeParse(value);
  if (!result.success) throw bad(result.error.issues.map(describe));
  const problems = crossProblems(result.data);
  if (problems.length > 0) throw bad(problems);
  return result.data;
}

function bad(problems: readonly string[]): ImError {
  const more = problems.length > MAX_PROBLEMS ? [`and ${problems.length - MAX_PROBLEMS} more problems`] : [];
  return new ImError(
    ErrorCode.BAD_REQUEST,
    `policy rules: ${[...problems.slice(0, MAX_PROBLEMS), ...more].join("; ")}`,
  );
}

function pathOf(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === "number" ? `[${part}]` : `${at > 0 ? "." : ""}${String(part)}`))
    .join("");
}

/** Where, what, what to do. */
function describe(issue: z.core.$ZodIssue): string {
  const where = pathOf(issue.path) || "the document";
  switch (issue.code) {
    case "unrecognized_keys":
      return `${where} has unknown fields ${issue.keys.slice(0, 5).join(", ")}: remove them or correct their names`;
    case "invalid_union":
      return `${where} is no kind of rule: use contact, words, links, rate, stranger or copies`;
    case "invalid_format":
      return `${where} has a form that is not allowed: ${FORMS[String(issue.path.at(-1))] ?? FORMS.domains}`;
    case "too_big":
    case "too_small":
      return `${where} is out of bounds: ${issue.message.replace(/^[^:]*: /, "")}, so change it accordingly`;
    default:
      return `${where}: ${issue.message}: correct it`;
  }
}

const FORMS: Readonly<Record<string, string>> = {
  id: "use 1 to 63 of a-z, 0-9 and -",
  domains: "use domains in small letters, such as example.com",
};

const WIDE: ReadonlySet<Rule["kind"]> = new Set(["words", "links"]);

/** What no single field shows. */
function crossProblems({ rules }: PolicyDocument): string[] {
  const problems: string[] = [];
  const seen = new Map<string, number>();
  for (const [at, rule] of rules.entries()) {
    const before = seen.get(rule.id);
    if (before !== undefined) problems.push(`rules[${at}].id is that of rules[${before}]: choose another one`);
    seen.set(rule.id, at);
    problems.push(...ruleProblems(rule, at));
  }
  for (const [kind, those] of Map.groupBy(rules, (one) => one.kind))
    if (!WIDE.has(kind) && those.length > MAX_CLOSE_RULES)
      problems.push(`rules holds ${those.length} of kind ${kind}: keep to ${MAX_CLOSE_RULES}`);
  const words = rules.flatMap((one) => (one.kind === "words" ? one.words : []));
  const patternChars = words.reduce((sum, word) => sum + word.length, 0);
  if (patternChars > MAX_PATTERN_CHARS)
    problems.push(`rules hold ${patternChars} characters of words: keep below ${MAX_PATTERN_CHARS}`);
  return problems;
}

function ruleProblems(rule: Rule, at: number): string[] {
  const { verdict, explanation } = rule;
  const problems: string[] = [];
  if (verdict === "bounce" && explanation === undefined)
    problems.push(`rules[${at}].explanation is missing: say what the sender of a bounced message is to do`);
  if (verdict !== "bounce" && explanation !== undefined)
    problems.push(`rules[${at}].explanation is never shown with verdict ${verdict}: remove it`);
  if (rule.kind === "words") problems.push(...emptyWords(rule.words, at));
  if (rule.kind === "links" && rule.match === "listed" && rule.domains.length === 0)
    problems.push(`rules[${at}].domains is empty, so that nothing is met: name domains`);
  return problems;
}

/** Words of which nothing is left to look for. */
function emptyWords(list: readonly string[], at: number): string[] {
  return list.flatMap((word, position) =>
    squeeze(normalise(word)) === ""
      ? [`rules[${at}].words[${position}] has neither letters nor digits: remove it`]
      : [],
  );
}
