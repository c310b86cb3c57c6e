// SPDX-License-Identifier: Apache-2.0

/** Digits that stand together. */
export interface DigitGroup {
  readonly digits: string;
  /** Where it stands in the normalised text. */
  readonly start: number;
  readonly end: number;
  /** Written as 0-9 and nothing else. */
  readonly isAscii: boolean;
}

/** Chinese digits, in everyday, formal and radio form. */
const HAN_DIGITS = pairs("零0〇0○0洞0一1壹1幺1弌1二2贰2弍2两2三3叁3弎3四4肆4五5伍5六6陆6七7柒7拐7八8捌8九9玖9勾9");

/** Characters that sound like a digit: they count only where nothing else stands between digits. */
const SOUNDS =
  "要1么1腰1妖1邀1依1医1衣1伊1易1义1儿2尔2耳2而2饿2贰2山3伞3删3散3珊3死4是4斯4丝4思4司4我5无5吴5呜5午5舞5武5物5流6溜6刘6留6榴6柳6" +
  "起7其7妻7气7器7骑7期7奇7爸8吧8巴8扒8拔8靶8就9酒9久9旧9舅9救9玖9领0灵0铃0林0棱0玲0令0另0栋0冻0动0";
const SOUND_DIGITS = pairs(SOUNDS);

const WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ...{ zero: "0", oh: "0", o: "0", one: "1", two: "2", three: "3", four: "4", five: "5", six: "6", seven: "7" },
    ...{ eight: "8", nine: "9", ling: "0", dong: "0", yi: "1", yao: "1", er: "2", liang: "2", san: "3", si: "4" },
    ...{ wu: "5", liu: "6", qi: "7", guai: "7", ba: "8", jiu: "9", gou: "9" },
  }),
);
const LONGEST_WORD = 5;

/** Of each UTF-16 unit: 1 = a digit, 2 = it sounds like one, 3 = a Latin letter. */
const KIND = new Uint8Array(65_536);
for (const unit of SOUND_DIGITS.keys()) KIND[unit] = 2;
for (const unit of HAN_DIGITS.keys()) KIND[unit] = 1;
for (let unit = 0x30; unit <= 0x39; unit++) KIND[unit] = 1;
for (let unit = 0x61; unit <= 0x7a; unit++) KIND[unit] = 3;

const NUMBER_WORD =
  /zero|oh|one|two|three|four|five|six|seven|eight|nine|ling|dong|yi|yao|er|liang|san|si|wu|liu|qi|guai|ba|jiu|gou/g;
const LEAST_LETTERS = 6;

/** At most so many digits can be in a normalised text, and in it with what sounds like digits: one pass, without words made. */
export function countDigits(text: string): { digits: number; sounds: number } {
  let [digits, sounds, letters] = [0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    const kind = KIND[text.charCodeAt(at)];
    if (kind === 1) digits++;
    else if (kind === 2) sounds++;
    else if (kind === 3) letters++;
  }
  // Letters that look like digits count where digits are; words of digits hardly ever are in a text.
  if (letters >= LEAST_LETTERS) digits += text.match(NUMBER_WORD)?.length ?? 0;
  if (letters > 0 && digits >= FEW_DIGITS) digits += Math.min(letters, MOST_LOOKALIKES);
  return { digits, sounds };
}

const FEW_DIGITS = 3;
const MOST_LOOKALIKES = 4;

function pairs(text: string): ReadonlyMap<number, string> {
  const result = new Map<number, string>();
  for (let at = 0; at + 1 < text.length; at += 2) result.set(text.charCodeAt(at), text.charAt(at + 1));
  return result;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function isLatin(unit: number): boolean {
  return unit >= 0x61 && unit <= 0x7a;
}

/** A letter or digit of any script; pictures, punctuation and blanks are none. */
export function isLetter(unit: number): boolean {
  if (unit < 0x80) return isDigit(unit) || isLatin(unit);
  // Halves of pairs are pictures here; what is rare among them is not worth a look.
  if (unit >= 0xd800 && unit <= 0xdfff) return false;
  return !((unit >= 0x2000 && unit <= 0x2bff) || (unit >= 0x3001 && unit <= 0x303f && unit !== 0x3007) || unit < 0xc0);
}

/**
 * All digits of a normalised text: 0-9, Chinese ones, number words in English and pinyin, and letters that look like digits among
 * digits (l38oo). @param withSounds characters that sound like digits count, too
 */
export function digitGroups(text: string, withSounds = false): DigitGroup[] {
  const groups: DigitGroup[] = [];
  let at = 0;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    if (isDigit(unit) || isLatin(unit)) {
      const end = endOfLatin(text, at);
      addLatin(groups, text, at, end);
      at = end;
      continue;
    }
    const digit = HAN_DIGITS.get(unit) ?? (withSounds ? SOUND_DIGITS.get(unit) : undefined);
    if (digit !== undefined) add(groups, { digits: digit, start: at, end: at + 1, isAscii: false });
    at++;
  }
  return groups;
}

/** Joins what touches. */
function add(groups: DigitGroup[], group: DigitGroup): void {
  const last = groups.at(-1);
  if (!last || last.end !== group.start) {
    groups.push(group);
    return;
  }
  const { start } = last;
  const isAscii = last.isAscii && group.isAscii;
  groups[groups.length - 1] = { digits: last.digits + group.digits, start, end: group.end, isAscii };
}

function endOfLatin(text: string, from: number): number {
  let at = from;
  while (at < text.length && (isDigit(text.charCodeAt(at)) || isLatin(text.charCodeAt(at)))) at++;
  return at;
}

/** A stretch of Latin letters and digits. */
function addLatin(groups: DigitGroup[], text: string, start: number, end: number): void {
  let digitCount = 0;
  let isLookalike = true;
  for (let at = start; at < end; at++) {
    const unit = text.charCodeAt(at);
    if (isDigit(unit)) digitCount++;
    else if (unit !== 0x6f && unit !== 0x6c && unit !== 0x69) isLookalike = false;
  }
  const token = text.slice(start, end);
  if (digitCount === end - start) add(groups, { digits: token, start, end, isAscii: true });
  else if (isLookalike && digitCount >= FEW_DIGITS)
    add(groups, { digits: lookalike(token), start, end, isAscii: false });
  else addMixed(groups, token, start);
}

function lookalike(token: string): string {
  return token.replaceAll("o", "0").replace(/[li]/g, "1");
}

/** Letters and digits: number words one after the other are digits as well. */
function addMixed(groups: DigitGroup[], token: string, start: number): void {
  let at = 0;
  while (at < token.length) {
    const isAscii = isDigit(token.charCodeAt(at));
    let end = at + 1;
    while (end < token.length && isDigit(token.charCodeAt(end)) === isAscii) end++;
    const part = token.slice(at, end);
    const digits = isAscii ? part : wordDigits(part);
    if (digits !== undefined) add(groups, { digits, start: start + at, end: start + end, isAscii });
    at = end;
  }
}

/** What letters spell, when they are number words and nothing else. */
function wordDigits(letters: string): string | undefined {
  let digits = "";
  let at = 0;
  while (at < letters.length) {
    const length = wordAt(letters, at);
    if (length === 0) return undefined;
    digits += WORDS.get(letters.slice(at, at + length)) ?? "";
    at += length;
  }
  return digits;
}

/** Length of the longest number word there; 0 = none. */
function wordAt(letters: string, at: number): number {
  for (let length = Math.min(LONGEST_WORD, letters.length - at); length > 0; length--)
    if (WORDS.has(letters.slice(at, at + length))) return length;
  return 0;
}
