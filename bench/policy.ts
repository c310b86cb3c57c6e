// SPDX-License-Identifier: Apache-2.0
// What the rules of the send path cost: 1,000 rules with 20,000 words and 5,000 domains beside contacts in a window, paces, copies and
// strangers, on ordinary texts of a market, one in ten of which gives a contact away. CPU time per message of all that judging takes:
// reading, the verdict, counting. Ends with one JSON line; exit code 1 above IM_BENCH_MAX_MICROS (30).
import { type ConversationFacts, PolicyEngine } from "../logic/policy/engine.ts";
import { LEAKS } from "../logic/policy/leak-texts-kit.ts";
import { ORDINARY_EN, ORDINARY_ZH } from "../logic/policy/ordinary-texts-kit.ts";
import { readRules } from "../logic/policy/rules.ts";
import { envNumber, progress, round1 } from "./bench-kit.ts";

const RULES = 1000;
const MESSAGES = envNumber("IM_BENCH_MESSAGES", 200_000);
const MAX_MICROS = envNumber("IM_BENCH_MAX_MICROS", 30);
const SENDERS = 5000;
const ROUNDS = 5;

/** Han characters and Latin letters in an order that no text has by chance. */
function wordOf(number: number): string {
  if (number % 4 === 0) return `zq${number.toString(36)}x`;
  const at = (place: number): string => String.fromCharCode(0x4e00 + ((number * 7919 + place * 104_729) % 20_000));
  return `${at(1)}${at(2)}${at(3)}${number % 3 === 0 ? at(4) : ""}`;
}

function documentOf(rules: number): string {
  const bounce = { verdict: "bounce", explanation: "keep it here" };
  const close = [
    {
      id: "contact",
      kind: "contact",
      ...bounce,
      finds: ["phone", "wechat", "qq", "handle", "email", "invite"],
      window: { messages: 5, seconds: 120 },
    },
    { id: "pace", kind: "rate", verdict: "flag", per: "sender", max: 60, seconds: 60 },
    { id: "pair", kind: "rate", verdict: "flag", per: "pair", max: 30, seconds: 60 },
    { id: "copies", kind: "copies", verdict: "shadow", maxPeers: 20, seconds: 600 },
    { id: "stranger", kind: "stranger", ...bounce, maxUnanswered: 3 },
  ];
  const links = Array.from({ length: rules / 10 }, (_, at) => ({
    ...{ id: `links-${at}`, kind: "links", verdict: "block", match: "listed" },
    domains: Array.from({ length: 50 }, (_, domain) => `bad-${at}-${domain}.com`),
  }));
  const words = Array.from({ length: rules - close.length - links.length }, (_, at) => ({
    ...{ id: `words-${at}`, kind: "words", verdict: "flag" },
    words: Array.from({ length: 22 }, (_, word) => wordOf(at * 22 + word)),
  }));
  return JSON.stringify({ version: 1, rules: [...close, ...links, ...words] });
}

const ordinary = [...ORDINARY_ZH, ...ORDINARY_EN];
const leaks = Object.values(LEAKS).flat();
const FACTS: ConversationFacts = { isAnswered: true, ownMessages: 5, hasOrder: false };

/** CPU microseconds per message, and how many of them were not allowed. */
function measure(engine: PolicyEngine, messages: number, firstMs: number): { micros: number; hits: number } {
  let hits = 0;
  const before = process.cpuUsage();
  for (let at = 0; at < messages; at++) {
    const text = (at % 10 === 9 ? leaks[at % leaks.length] : ordinary[at % ordinary.length]) ?? "";
    const sender = `u${at % SENDERS}`;
    const message = engine.read({ sender, conversationId: `c${at % (SENDERS * 3)}`, text, nowMs: firstMs + at / 5 });
    const judgement = engine.judge(message, undefined) ?? engine.judge(message, FACTS);
    if (judgement?.verdict === "allow" || judgement?.verdict === "flag") engine.note(message);
    if (judgement?.verdict !== "allow") hits++;
  }
  const { user, system } = process.cpuUsage(before);
  return { micros: (user + system) / messages, hits };
}

const text = documentOf(RULES);
const startedMs = performance.now();
const engine = new PolicyEngine(readRules(text));
const compileMs = performance.now() - startedMs;
measure(engine, 20_000, 0);
const rounds = Array.from({ length: ROUNDS }, (_, round) => measure(engine, MESSAGES / ROUNDS, 1e7 * (round + 1)));
const micros = rounds.map((round) => round.micros).sort((a, b) => a - b);
const median = micros[Math.floor(ROUNDS / 2)] ?? Number.NaN;
const few = new PolicyEngine(readRules(documentOf(20)));
measure(few, 20_000, 0);
const fewMicros = measure(few, MESSAGES / ROUNDS, 1e7).micros;
const ok = median <= MAX_MICROS;
progress(
  `${RULES} rules: ${round1(median)} us of CPU per message, ${round1(fewMicros)} with 20; compiled in ${Math.round(compileMs)} ms`,
);
if (!ok) progress(`FAILED more than ${MAX_MICROS} us per message`);
console.log(
  JSON.stringify({
    ...{ bench: "policy", rules: RULES, messages: MESSAGES, maxMicros: MAX_MICROS, ok },
    ...{ microsPerMessage: round1(median), best: round1(micros[0] ?? 0), worst: round1(micros.at(-1) ?? 0) },
    ...{ microsWith20Rules: round1(fewMicros), compileMs: Math.round(compileMs) },
    hitShare: round1((100 * rounds.reduce((sum, { hits }) => sum + hits, 0)) / MESSAGES),
  }),
);
process.exitCode = ok ? 0 : 1;
