// SPDX-License-Identifier: Apache-2.0
import { type ContactKind, contactIn } from "./contacts.ts";
import { Copies, copyKey } from "./copies.ts";
import { domainsIn, isBelow } from "./links.ts";
import { normalise } from "./normalise.ts";
import { Pace } from "./pace.ts";
import { RecentTexts, type TextWindow } from "./recent-texts.ts";
import { type PolicyDocument, type Rule, type RuleOf, VERDICTS, type Verdict } from "./rules.ts";
import { WordFinder } from "./word-finder.ts";

/** How much an engine keeps. */
export interface PolicyBounds {
  /** Keys of each rule that counts. */
  readonly maxKeys: number;
  /** Pairs of sender and conversation whose last texts are kept. */
  readonly maxWindows: number;
}

const BOUNDS: PolicyBounds = { maxKeys: 50_000, maxWindows: 20_000 };

const PIECE_CHARS = 2048;
const OVERLAP_CHARS = 96;

/** A text on its way. */
export interface PolicyMessage {
  readonly sender: string;
  readonly conversationId: string;
  readonly text: string;
  /** Monotonic. */
  readonly nowMs: number;
}

/** What the database knows about a conversation, as its sender sees it. */
export interface ConversationFacts {
  /** Somebody else has written there, or it is a group. */
  readonly isAnswered: boolean;
  /** Messages there, while it is not answered. */
  readonly ownMessages: number;
  /** The parties have an order. */
  readonly hasOrder: boolean;
}

/** A message after its text was looked at, once. */
export interface ReadMessage {
  readonly sender: string;
  readonly conversationId: string;
  readonly nowMs: number;
  readonly normal: string;
  /** Of the sender in this conversation. */
  readonly pair: string;
  /** Of the sender with this text; "" = too short to be a copy. */
  readonly copy: string;
  readonly textHits: readonly Rule[];
}

/** What is to become of a message, and which rule says so. */
export interface Judgement {
  readonly verdict: Verdict;
  readonly rule: Rule | undefined;
  /** When a rule of pace lets the next one through; 0 = not known. */
  readonly retryAfterMs: number;
}

export const ALLOWED: Judgement = { verdict: "allow", rule: undefined, retryAfterMs: 0 };

/** State of rules that count, by the rule as it is written: it outlives a new document that leaves the rule as it was. */
type Counting = Map<string, Pace | Copies>;

/**
 * The rules of one document, ready to judge: pure but for counts of its own, which are bounded, and go by the times that it is given.
 * Of all rules that a message meets the strongest verdict holds; of equals, what the text itself says comes first.
 */
export class PolicyEngine {
  readonly document: PolicyDocument;
  readonly #contentTypes: ReadonlySet<string>;
  readonly #contacts: readonly RuleOf<"contact">[];
  readonly #words: readonly RuleOf<"words">[];
  readonly #wordFinder: WordFinder;
  readonly #listed: ReadonlyMap<string, readonly Rule[]>;
  readonly #unlisted: readonly { rule: Rule; domains: ReadonlySet<string> }[];
  readonly #rates: readonly { rule: RuleOf<"rate">; pace: Pace }[];
  readonly #copies: readonly { rule: RuleOf<"copies">; copies: Copies }[];
  readonly #strangers: readonly RuleOf<"stranger">[];
  readonly #minCopyChars: number;
  readonly #recent: RecentTexts | undefined;
  readonly #counting: Counting = new Map();
  readonly #keep: TextWindow | undefined;

  /** @param before whose counts go on where a rule is the same */
  constructor(document: PolicyDocument, before?: PolicyEngine, { maxKeys, maxWindows }: PolicyBounds = BOUNDS) {
    this.document = document;
    const { rules } = document;
    this.#contentTypes = new Set(rules.length > 0 ? document.contentTypes : []);
    this.#contacts = ofKind(rules, "contact");
    this.#words = ofKind(rules, "words");
    this.#wordFinder = new WordFinder(this.#words.map(({ words }) => words));
    const links = ofKind(rules, "links");
    this.#listed = listedOf(links);
    this.#unlisted = links
      .filter(({ match }) => match === "unlisted")
      .map((rule) => ({ rule, domains: new Set(rule.domains) }));
    this.#rates = ofKind(rules, "rate").map((rule) => {
      return { rule, pace: this.#count(rule, before, () => new Pace(rule.max, rule.seconds, maxKeys)) };
    });
    this.#copies = ofKind(rules, "copies").map((rule) => {
      return { rule, copies: this.#count(rule, before, () => new Copies(rule.maxPeers, rule.seconds, maxKeys)) };
    });
    this.#strangers = ofKind(rules, "stranger");
    this.#minCopyChars = Math.min(...this.#copies.map(({ rule }) => rule.minChars));
    this.#keep = longestWindow(this.#contacts);
    this.#recent = this.#recentOf(before, maxWindows);
  }

  /** Does any rule look at messages of this type? */
  wants(contentType: string): boolean {
    return this.#contentTypes.has(contentType);
  }

  /** Does a rule need facts about every conversation? */
  get needsFacts(): boolean {
    return this.#strangers.length > 0;
  }

  /** Looks at the text. Changes nothing. */
  read({ sender, conversationId, text, nowMs }: PolicyMessage): ReadMessage {
    const normal = normalise(text);
    const pair = `${sender}\0${conversationId}`;
    const copy = this.#copies.length > 0 && lettersOf(normal) >= this.#minCopyChars ? copyKey(sender, normal) : "";
    const textHits = [
      ...this.#contactHits(normal, pair, nowMs),
      ...[...this.#wordFinder.find(normal)].flatMap((list) => this.#words[list] ?? []),
      ...this.#linkHits(normal),
    ];
    return { sender, conversationId, nowMs, normal, pair, copy, textHits };
  }

  /**
   * What is to become of the message. `undefined`: it depends on facts, and none were given.
   * @param facts `unreadable`: each rule that needs them holds or not as it says itself
   */
  judge(message: ReadMessage, facts: ConversationFacts | "unreadable" | undefined): Judgement | undefined {
    const hits = [
      ...message.textHits.map(
        (rule): Hit => ({ rule, waitMs: 0, depends: rule.unlessOrder, holds: isNotRelaxed(rule) }),
      ),
      ...this.#paceHits(message),
      ...this.#copyHits(message),
      ...this.#strangers.map((rule): Hit => ({ rule, waitMs: 0, depends: true, holds: isTooForward(rule) })),
    ];
    let best = ALLOWED;
    const consider = ({ rule, waitMs }: Hit): void => {
      if (strengthOf(rule.verdict) > strengthOf(best.verdict))
        best = { verdict: rule.verdict, rule, retryAfterMs: waitMs };
    };
    for (const hit of hits) if (!hit.depends) consider(hit);
    const open = hits.filter(({ rule, depends }) => depends && strengthOf(rule.verdict) > strengthOf(best.verdict));
    if (open.length > 0 && facts === undefined) return undefined;
    for (const hit of open)
      if (facts === "unreadable" ? hit.rule.onFault === "closed" : facts && hit.holds(facts)) consider(hit);
    return best;
  }

  /** The message goes its way: it counts from now on. */
  note({ sender, pair, copy, conversationId, normal, nowMs }: ReadMessage): void {
    for (const { rule, pace } of this.#rates) pace.note(rule.per === "sender" ? sender : pair, nowMs);
    if (copy !== "") for (const { copies } of this.#copies) copies.note(copy, conversationId, nowMs);
    this.#recent?.note(pair, normal, nowMs);
  }

  /** Keys that are counted, for gauges. */
  get size(): number {
    const counts = [...this.#rates.map(({ pace }) => pace), ...this.#copies.map(({ copies }) => copies)];
    return counts.reduce((sum, { size }) => sum + size, this.#recent?.size ?? 0);
  }

  #recentOf(before: PolicyEngine | undefined, maxWindows: number): RecentTexts | undefined {
    if (!this.#keep) return undefined;
    const isSame = before && JSON.stringify(before.#keep) === JSON.stringify(this.#keep);
    return (isSame ? before.#recent : undefined) ?? new RecentTexts(this.#keep, maxWindows);
  }

  #count<T extends Pace | Copies>(rule: Rule, before: PolicyEngine | undefined, make: () => T): T {
    const key = JSON.stringify(rule);
    const known = before ? before.#counting.get(key) : undefined;
    const counting = (known as T | undefined) ?? make();
    this.#counting.set(key, counting);
    return counting;
  }

  #paceHits({ sender, pair, nowMs }: ReadMessage): Hit[] {
    return this.#rates.flatMap(({ rule, pace }): Hit[] => {
      const waitMs = pace.waitMs(rule.per === "sender" ? sender : pair, nowMs);
      return waitMs > 0 ? [{ rule, waitMs, depends: rule.unlessOrder, holds: isNotRelaxed(rule) }] : [];
    });
  }

  #copyHits({ copy, conversationId, nowMs }: ReadMessage): Hit[] {
    if (copy === "") return [];
    const met = this.#copies.filter(({ copies }) => copies.isTooMany(copy, conversationId, nowMs));
    return met.map(({ rule }) => ({ rule, waitMs: 0, depends: true, holds: isUnasked(rule) }));
  }

  #contactHits(normal: string, pair: string, nowMs: number): Rule[] {
    if (this.#contacts.length === 0) return [];
    const found = new Map<ContactKind, boolean>();
    const pieces = piecesOf(normal);
    const isIn = (kind: ContactKind): boolean => {
      const known = found.get(kind) ?? pieces.some((piece) => contactIn(piece, [kind]) !== undefined);
      found.set(kind, known);
      return known;
    };
    return this.#contacts.filter(({ finds, window }) => {
      if (finds.some(isIn)) return true;
      return window && this.#recent?.contactAcross(pair, normal, { kinds: finds, window, nowMs }) !== undefined;
    });
  }

  #linkHits(normal: string): Rule[] {
    if (this.#listed.size === 0 && this.#unlisted.length === 0) return [];
    const domains = domainsIn(normal);
    if (domains.length === 0) return [];
    const hits = domains.flatMap((domain) => rulesOf(this.#listed, domain));
    for (const { rule, domains: good } of this.#unlisted)
      if (domains.some((domain) => !isBelow(domain, good))) hits.push(rule);
    return hits;
  }
}

type Holds = (facts: ConversationFacts) => boolean;

/** A rule that a message meets, perhaps. */
interface Hit {
  readonly rule: Rule;
  /** Until its pace lets one through. */
  readonly waitMs: number;
  /** On facts: only if they say so it is met. */
  readonly depends: boolean;
  readonly holds: Holds;
}

const isNotRelaxed = ({ unlessOrder }: Rule): Holds => {
  return ({ hasOrder }) => !(unlessOrder && hasOrder);
};

const isUnasked = (rule: Rule): Holds => {
  return (facts) => !facts.isAnswered && isNotRelaxed(rule)(facts);
};

const isTooForward = (rule: RuleOf<"stranger">): Holds => {
  return (facts) => facts.ownMessages >= rule.maxUnanswered && isUnasked(rule)(facts);
};

/** Long texts are looked at in pieces that overlap: what that costs grows with their length, not with its square. */
function piecesOf(text: string): string[] {
  if (text.length <= PIECE_CHARS) return [text];
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += PIECE_CHARS - OVERLAP_CHARS) pieces.push(text.slice(at, at + PIECE_CHARS));
  return pieces;
}

function strengthOf(verdict: Verdict): number {
  return VERDICTS.indexOf(verdict);
}

function ofKind<K extends Rule["kind"]>(rules: readonly Rule[], kind: K): RuleOf<K>[] {
  return rules.filter((rule): rule is RuleOf<K> => rule.kind === kind);
}

function lettersOf(text: string): number {
  let letters = 0;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x40) letters++;
  return letters;
}

function listedOf(rules: readonly RuleOf<"links">[]): Map<string, Rule[]> {
  const listed = new Map<string, Rule[]>();
  for (const rule of rules.filter(({ match }) => match === "listed"))
    for (const domain of rule.domains) listed.set(domain, [...(listed.get(domain) ?? []), rule]);
  return listed;
}

/** Rules that list the domain or one that it is below of. */
function rulesOf(listed: ReadonlyMap<string, readonly Rule[]>, domain: string): Rule[] {
  const rules: Rule[] = [];
  for (let rest = domain; rest !== ""; rest = rest.includes(".") ? rest.slice(rest.indexOf(".") + 1) : "")
    rules.push(...(listed.get(rest) ?? []));
  return rules;
}

function longestWindow(rules: readonly RuleOf<"contact">[]): TextWindow | undefined {
  const windows = rules.flatMap(({ window }) => window ?? []);
  if (windows.length === 0) return undefined;
  return {
    messages: Math.max(...windows.map(({ messages }) => messages)),
    seconds: Math.max(...windows.map(({ seconds }) => seconds)),
  };
}
