// SPDX-License-Identifier: Apache-2.0
// Texts as people of a second-hand market write them: mostly short, Chinese, with emoji; sometimes empty, sometimes huge.

const CHINESE = [
  "你好，这个还在吗？",
  "在的，八成新，配件都齐。",
  "能便宜点吗？包邮的话我现在就拍。",
  "最低一百八，再低就亏本了。",
  "可以当面交易吗？我在朝阳区。",
  "東京から送れますか？送料はいくらでしょうか。",
  "麻烦发一下实物图，谢谢！",
  "已付款，请尽快发货～",
  "屏幕有一道细划痕，不影响使用，介意慎拍。",
  "退货运费谁承担？「七天无理由」算吗？",
];
const EMOJI = [
  "👍",
  "😂😂😂",
  "👨‍👩‍👧‍👦 一家人都喜欢",
  "🇨🇳🇯🇵🇩🇪",
  "👋🏽 hi",
  "❤️‍🔥 want it",
  "🏴󠁧󠁢󠁳󠁣󠁴󠁿 from Scotland",
  "1️⃣2️⃣3️⃣ 发车",
];
const ASCII = [
  "ok",
  "Is it still available?",
  "I can pick it up tomorrow at 6 pm.",
  '{"type":"offer","price":180.5}',
  "<b>not bold</b> & 'quoted' \"twice\"",
  "line one\nline two\r\nline three\tend",
  "'; DROP TABLE message; --",
  "%s %d $(x) \\u0000 \\",
];
const OTHER = [
  "هل ما زال متوفراً؟",
  "Ещё продаёте?",
  "é̂ à́ combining",
  "\u200b\u200dzero\ufeffwidth",
  "नमस्ते, कितने का है?",
  "\u0000\u0001\u007f",
];

/** Contents as large as a message may well be: 60 KiB of UTF-8. */
export const LARGE_CONTENT_BYTES = 60 * 1024;

/** What {@link textOf} may give at most, as a share of all messages. */
export type TextKind = "ascii" | "chinese" | "emoji" | "other" | "empty" | "large";

/** Kinds by position in a cycle of 100: the mix is the same in every run and every prefix of some hundreds. */
export function kindOf(index: number): TextKind {
  const slot = index % 100;
  if (slot === 50) return "large";
  if (slot % 20 === 7) return "empty";
  if (slot % 10 === 3) return "other";
  if (slot % 5 === 1) return "emoji";
  return slot % 2 === 0 ? "chinese" : "ascii";
}

function pick(texts: readonly string[], index: number): string {
  return texts[index % texts.length] ?? "";
}

const encoder = new TextEncoder();

/** The content of message `index`: deterministic, with `id` inside unless it is empty, at most 60 KiB. */
export function textOf(index: number, id: string): Uint8Array {
  const turn = Math.floor(index / 7) + index;
  switch (kindOf(index)) {
    case "empty":
      return new Uint8Array(0);
    case "large":
      return largeText(id, index);
    case "chinese":
      return encoder.encode(`${pick(CHINESE, turn)} #${id}`);
    case "emoji":
      return encoder.encode(`${pick(EMOJI, turn)} #${id}`);
    case "other":
      return encoder.encode(`${pick(OTHER, turn)} #${id}`);
    case "ascii":
      return encoder.encode(`${pick(ASCII, turn)} #${id}`);
  }
}

/** Mixed-width characters up to exactly {@link LARGE_CONTENT_BYTES}, so that a cut inside a character would show. */
function largeText(id: string, index: number): Uint8Array {
  const bytes = new Uint8Array(LARGE_CONTENT_BYTES).fill(0x2e);
  let at = encoder.encodeInto(`#${id} `, bytes).written;
  for (let turn = index; ; turn++) {
    const sentence = encoder.encode(`${pick(CHINESE, turn)}${pick(EMOJI, turn)}`);
    if (at + sentence.length > bytes.length) return bytes;
    bytes.set(sentence, at);
    at += sentence.length;
  }
}
