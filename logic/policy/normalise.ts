// SPDX-License-Identifier: Apache-2.0

/** Traditional forms and what stands for a character in words that matter here; each maps to one that maps to itself. */
const HAN =
  "電电話话號号聯联繫系係系絡络訊讯機机見见線线賣卖買买錢钱們们個个請请貳贰陸陆參叁叄叁兩两萬万億亿點点這这說说給给發发來来" +
  "圖图碼码掃扫維维衛卫鏈链網网帳账騰腾購购飛飞報报裡里門门樓楼時时間间";

/** Letters of other scripts that look like Latin ones, the Latin one behind each. */
const LOOKALIKES =
  "аaвbсcеeнhіiјjкkмmоoрpѕsтtхxуyѵvԝwԛqԁdӏlαaβbεeηnιiκkνvοoρpτtυuχxωwϲcᴀaʙbᴄcᴅdᴇeɢgʜhɪiᴊjᴋkʟlᴍmɴnᴏoᴘpʀrꜱsᴛtᴜuᴠvᴡwʏyᴢz" +
  "ɑaıiⅼlꓦvꓪwꓫx";

/** What becomes of single characters that compatibility decomposition leaves. */
const SINGLES: ReadonlyMap<number, string> = new Map([
  ...pairsOf(HAN),
  ...pairsOf(LOOKALIKES),
  ...[..."❤♥♡❥💓💔💕💖💗💘💙💚💛💜💝💞💟🖤🤍🤎🧡🩷🩵🩶"].map((heart): [number, string] => [codeOf(heart), "心"]),
  ...[..."➕✚✙⊕"].map((plus): [number, string] => [codeOf(plus), "+"]),
  ...[..."📞☎📱✆☏📲🤙"].map((phone): [number, string] => [codeOf(phone), "电话"]),
  [codeOf("🐧"), "qq"],
  [codeOf("✈"), "飞机"],
  [codeOf("🛰"), "卫星"],
  [codeOf("🔟"), "10"],
  [codeOf("💯"), "100"],
  [codeOf("⓿"), "0"],
  [codeOf("🄌"), "0"],
  [codeOf("🄋"), "0"],
  [codeOf("。"), "."],
  [codeOf("、"), ","],
  [codeOf("⠀"), " "],
  [codeOf("─"), "-"],
  [codeOf("‐"), "-"],
  [codeOf("‑"), "-"],
  [codeOf("–"), "-"],
  [codeOf("—"), "-"],
  [codeOf("−"), "-"],
  ...numbered("❶", 10),
  ...numbered("➀", 10),
  ...numbered("➊", 10),
  ...numbered("⓫", 10, 11),
  ...numbered("⓵", 10),
  ...lettered(0x1f150),
  ...lettered(0x1f170),
  ...lettered(0x1f1e6),
]);

/** Half of a pair at its place in `text`. */
function* pairsOf(text: string): Generator<[number, string]> {
  const characters = [...text];
  for (let at = 0; at + 1 < characters.length; at += 2) yield [codeOf(characters[at] ?? ""), characters[at + 1] ?? ""];
}

function numbered(first: string, count: number, from = 1): [number, string][] {
  return Array.from({ length: count }, (_, at) => [codeOf(first) + at, String(from + at)]);
}

/** 26 letters from `first` on. */
function lettered(first: number): [number, string][] {
  return Array.from({ length: 26 }, (_, at) => [first + at, String.fromCharCode(97 + at)]);
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

const IGNORED = /^[\p{M}\p{Cf}\p{Cc}\u115f\u1160]$/u;
const SPACE = /^\s$/u;
const DECIMAL = /^\p{Nd}$/u;

/** What each code point met so far became; most texts use few. */
const REMEMBERED = 8192;
const memory = new Map<number, string>();

/** A character that decomposition left, as it counts here: "" when it does not. */
function characterOf(code: number): string {
  const known = memory.get(code);
  if (known !== undefined) return known;
  const made = makeCharacter(code);
  if (memory.size >= REMEMBERED) memory.clear();
  memory.set(code, made);
  return made;
}

function makeCharacter(code: number): string {
  const single = SINGLES.get(code);
  if (single !== undefined) return single;
  const character = String.fromCodePoint(code);
  if (SPACE.test(character)) return " ";
  if (IGNORED.test(character)) return "";
  if (DECIMAL.test(character)) return String(decimalOf(code));
  const lower = character.toLowerCase();
  if (lower === character) return character;
  return settled(lower);
}

/** Lower case may bring characters that are to be mapped themselves. */
function settled(lower: string): string {
  let text = "";
  for (const part of lower.normalize("NFKD")) text += part === "" ? "" : characterOf(codeOf(part));
  return text;
}

/** Digits of a script are ten in a row. */
function decimalOf(code: number): number {
  let zero = code;
  while (DECIMAL.test(String.fromCodePoint(zero - 1)) && code - zero < 9) zero--;
  return (code - zero) % 10;
}

/** What single UTF-16 units become, for nearly all that texts here consist of; 0 = it takes a closer look. */
const DIRECT = new Uint16Array(65_536);
for (let code = 0x20; code < 0x7f; code++) {
  DIRECT[code] = String.fromCharCode(code).toLowerCase().charCodeAt(0);
  if (code > 0x20) DIRECT[code + 0xfee0] = DIRECT[code] ?? 0;
}
for (let code = 0x4e00; code < 0x9fff; code++) DIRECT[code] = code;
for (const quote of "\u2018\u2019\u201c\u201d\u300a\u300b\u300c\u300d\u3010\u3011")
  DIRECT[codeOf(quote)] = codeOf(quote);
for (const space of "\n\r\t\u3000") DIRECT[codeOf(space)] = 0x20;
for (const [code, text] of SINGLES) if (code < 65_536) DIRECT[code] = text.length === 1 ? text.charCodeAt(0) : 0;

const LONGEST_DIRECT = 2048;
const scratch = new Uint16Array(LONGEST_DIRECT);

/** Undefined: some of it takes a closer look. */
function direct(text: string): string | undefined {
  if (text.length > LONGEST_DIRECT) return undefined;
  let isSame = true;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const become = DIRECT[unit] ?? 0;
    if (become === 0) return undefined;
    if (become !== unit) isSame = false;
    scratch[at] = become;
  }
  if (isSame) return text;
  return String.fromCharCode.apply(undefined, scratch.subarray(0, text.length) as unknown as number[]);
}

/**
 * One spelling for what reads the same: compatibility forms (full width, circled, mathematical, keycaps), case, look-alike letters of other
 * scripts, digits of every script, traditional characters in words that matter, hearts and other pictures that stand for a word; marks and
 * invisible characters go. Applying it twice is applying it once.
 */
export function normalise(text: string): string {
  const quick = direct(text);
  if (quick !== undefined) return quick;
  let result = "";
  for (const character of text.normalize("NFKD")) {
    const code = character.codePointAt(0) ?? 0;
    const become = code < 65_536 ? DIRECT[code] : 0;
    result += become ? String.fromCharCode(become) : characterOf(code);
  }
  return result;
}
