// SPDX-License-Identifier: Apache-2.0
import { countDigits, type DigitGroup, digitGroups, isLetter } from "./digit-groups.ts";

const MOBILE_DIGITS = 11;
const MOBILE = /^1[3-9]\d{9}$/;
const COUNTRY = /^(?:00)?86(?=1[3-9]\d{9}$)/;
const AREA = /^0(?:10|2\d|[3-9]\d\d)$/;
const LANDLINE = /^0(?:10|2\d|[3-9]\d\d)\d{7,8}$/;
/** Cards and order numbers that are written in groups have more. */
const LONGEST_CHAIN = 15;
/** Characters between the parts of one number. */
const LONGEST_GAP = 8;

/** Numbers of parcels begin with the letters of their carrier. */
const CARRIER = /(?:^|[^a-z])(?:sf|yt|jd|jt|zt|zto|sto|yd|ems|jdv[a-z]?|jdx|dp[a-z]?)[ .:-]?$/;
const CURRENCY = /(?:[¥$€£]|rmb|usd|cny|价|价格|每)[ :]?$/;
const UNIT =
  /^ ?(?:元|块|毛|角|分|万|千|百|个|件|斤|公斤|克|升|瓶|盒|包|袋|箱|套|双|只|条|张|本|台|部|把|年|月|日|号|点|时|小时|分钟|秒|天|周|岁|折|码|寸|英寸|公里|平|楼|层|室|单元|栋|代|核|倍|成|度|米|厘米|毫米|次|页|集|期|级|版|pro|max|plus|mini|%|kg|g|gb|tb|mb|mah|cm|mm|ml|km|hz|w|v|l|k|x|ti|th|nd|rd|st|usd|rmb|yuan)(?![a-z])/;
const CALENDAR =
  /(?<!\d)(?:\d{2,4}[-/.年] ?(?:0?[1-9]|1[0-2])[-/.月] ?(?:[12]\d|3[01]|0?[1-9])|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|1[0-2])[-/.](?:\d{4}|\d{2})|\d{1,2}:\d{2}(?::\d{2})?)(?!\d)/g;

/** Says that a number follows, even one that is not a mobile's. */
const ANNOUNCED = /(?:电话|座机|手机号|手机号码|联系方式|tel|phone number|call me(?: at)?|call)[ :=是为-]{0,4}$/;
const LEAST_ANNOUNCED = 7;

/** Does a normalised text hold a telephone number, however its digits are spelled and spaced? */
export function hasPhone(text: string): boolean {
  const count = countDigits(text);
  if (count.digits >= LEAST_ANNOUNCED) {
    const groups = digitGroups(text);
    if (totalOf(groups) >= LEAST_ANNOUNCED) {
      if (hasPlain(text) || groups.some((group) => isSingle(text, group))) return true;
      const ordinary = ordinaryOf(text, groups);
      if (hasChained(text, groups, ordinary) || hasFilled(text, groups, ordinary)) return true;
    }
  }
  return count.sounds > 0 && count.digits + count.sounds >= MOBILE_DIGITS && hasSounded(text);
}

/** Written as it is, whatever Chinese digits stand around it. */
const PLAIN = /(?<!\d)(?:0086|86)?1[3-9]\d{9}(?!\d)/g;

function hasPlain(text: string): boolean {
  return text.matchAll(PLAIN).some(({ index }) => !CARRIER.test(text.slice(Math.max(0, index - 8), index)));
}

/** A number that stands in one piece. */
function isSingle(text: string, { digits, start }: DigitGroup): boolean {
  const before = text.slice(Math.max(0, start - 14), start);
  if (isMobile(digits)) return !CARRIER.test(before);
  if (before.endsWith("+") && digits.length >= 9 && digits.length <= 15) return true;
  if (!ANNOUNCED.test(before)) return false;
  return LANDLINE.test(digits) || (digits.length >= LEAST_ANNOUNCED && digits.length <= 12);
}

function isMobile(digits: string): boolean {
  return MOBILE.test(digits.replace(COUNTRY, ""));
}

/** Which groups are a price, an amount, a date, a time, a size: no part of a number. */
function ordinaryOf(text: string, groups: readonly DigitGroup[]): boolean[] {
  const calendar = [...text.matchAll(CALENDAR)].map(({ 0: match, index }) => ({
    start: index,
    end: index + match.length,
  }));
  return groups.map(({ start, end }) => {
    if (calendar.some((range) => start >= range.start && end <= range.end)) return true;
    return CURRENCY.test(text.slice(Math.max(0, start - 5), start)) || UNIT.test(text.slice(end, end + 8));
  });
}

function isClean(text: string, from: number, to: number): boolean {
  if (to - from > LONGEST_GAP) return false;
  for (let at = from; at < to; at++) if (isLetter(text.charCodeAt(at))) return false;
  return true;
}

/** Stretches of groups that `joins` says belong together. */
function chainsOf(
  groups: readonly DigitGroup[],
  ordinary: readonly boolean[],
  joins: (left: DigitGroup, right: DigitGroup) => boolean,
): DigitGroup[][] {
  const chains: DigitGroup[][] = [];
  let chain: DigitGroup[] = [];
  for (const [at, group] of groups.entries()) {
    const last = chain.at(-1);
    if (ordinary[at] || (last && !joins(last, group))) {
      if (chain.length > 1) chains.push(chain);
      chain = [];
    }
    if (!ordinary[at]) chain.push(group);
  }
  if (chain.length > 1) chains.push(chain);
  return chains;
}

/** Parts with nothing but punctuation, blanks and pictures between them. */
function hasChained(text: string, groups: readonly DigitGroup[], ordinary: readonly boolean[]): boolean {
  const chains = chainsOf(groups, ordinary, (left, right) => isClean(text, left.end, right.start));
  return chains.some((chain) => isForeign(text, chain) || isAnnounced(text, chain) || holdsMobile(chain));
}

function totalOf(chain: readonly DigitGroup[]): number {
  return chain.reduce((sum, { digits }) => sum + digits.length, 0);
}

function holdsMobile(chain: readonly DigitGroup[]): boolean {
  if (totalOf(chain) > LONGEST_CHAIN) return false;
  for (let from = 0; from < chain.length; from++) {
    let digits = "";
    for (let to = from; to < chain.length && digits.length < MOBILE_DIGITS; to++) {
      digits += chain[to]?.digits ?? "";
      if (MOBILE.test(digits) && isPlausible(chain.slice(from, to + 1))) return true;
    }
  }
  return false;
}

/** Not a row of prices or sizes that happens to have eleven digits. */
function isPlausible(parts: readonly DigitGroup[]): boolean {
  if (parts.length === MOBILE_DIGITS || parts.some(({ isAscii }) => !isAscii)) return true;
  if (parts.slice(1).some(({ digits }) => digits.length > 1 && digits.startsWith("0"))) return true;
  return !parts.every(({ digits }) => /[05]$/.test(digits));
}

/** Written as in other countries. */
function isForeign(text: string, chain: readonly DigitGroup[]): boolean {
  const first = chain[0];
  const last = chain.at(-1);
  if (!first || !last) return false;
  const before = text.slice(Math.max(0, first.start - 2), first.start);
  const total = totalOf(chain);
  if (/\+\(?$/.test(before)) return total >= 9 && total <= 15;
  const sizes = chain.map(({ digits }) => digits.length).join("-");
  const marks = text.slice(Math.max(0, first.start - 1), last.end);
  if (AREA.test(first.digits) && /^[34]-[78]$/.test(sizes)) return true;
  if (AREA.test(first.digits) && /^[34]-[34]-4$/.test(sizes)) return true;
  const isAmerican = /^(?:1-)?3-3-4$/.test(sizes) && /^1?[2-9]/.test(first.digits) && /[-.()]/.test(marks);
  return isAmerican && isPlausible(chain);
}

function isAnnounced(text: string, chain: readonly DigitGroup[]): boolean {
  const start = chain[0]?.start ?? 0;
  const total = totalOf(chain);
  return total >= LEAST_ANNOUNCED && total <= 12 && ANNOUNCED.test(text.slice(Math.max(0, start - 16), start));
}

/** Digits with a letter or two between them: 1a3a8a... */
function hasFilled(text: string, groups: readonly DigitGroup[], ordinary: readonly boolean[]): boolean {
  const chains = chainsOf(groups, ordinary, (left, right) => right.start - left.end <= 2);
  return chains.some((chain) => {
    const [first, second] = chain;
    if (!first || !second || chain.length < 4 || totalOf(chain) !== MOBILE_DIGITS) return false;
    const filler = text.slice(first.end, second.start);
    // Blanks and punctuation are no filler: see hasChained.
    if (![...filler].some((unit) => isLetter(unit.charCodeAt(0)))) return false;
    const isRegular = chain.every((group, at) => {
      const next = chain[at + 1];
      return !next || text.slice(group.end, next.start) === filler;
    });
    const isSpelled = chain.length >= MOBILE_DIGITS - 2;
    return (isRegular || isSpelled) && isMobile(chain.map(({ digits }) => digits).join(""));
  });
}

/** Eleven characters in a row that sound like digits, or are some. */
function hasSounded(text: string): boolean {
  const groups = digitGroups(text, true);
  const none = groups.map(() => false);
  const chains = [
    ...chainsOf(groups, none, (left, right) => isClean(text, left.end, right.start) && right.start - left.end <= 1),
  ];
  const pieces = [...groups.map((group) => [group]), ...chains];
  return pieces.some(
    (piece) => !piece.every(({ isAscii }) => isAscii) && isMobile(piece.map(({ digits }) => digits).join("")),
  );
}

/** A message that is hardly more than digits: a part of a number, perhaps. Undefined when it is something else. */
export function fragmentOf(text: string): readonly DigitGroup[] | undefined {
  if (text.length > LONGEST_FRAGMENT || countDigits(text).digits === 0) return undefined;
  const groups = digitGroups(text);
  if (groups.length === 0 || ordinaryOf(text, groups).some(Boolean)) return undefined;
  let letters = 0;
  for (let at = 0; at < text.length; at++) if (isLetter(text.charCodeAt(at))) letters++;
  for (const { start, end } of groups) letters -= end - start;
  return letters <= FRAGMENT_LETTERS ? groups : undefined;
}

const LONGEST_FRAGMENT = 24;
const FRAGMENT_LETTERS = 3;

/** Do the last of these messages, all of them fragments, make a number together? Bargaining is no number. */
export function isPhoneAcross(fragments: readonly (readonly DigitGroup[])[]): boolean {
  let parts: DigitGroup[] = [];
  for (let at = fragments.length - 1; at >= 0; at--) {
    parts = [...(fragments[at] ?? []), ...parts];
    const digits = parts.map((part) => part.digits).join("");
    if (digits.length > MOBILE_DIGITS + 4) return false;
    if (isMobile(digits) && isPlausible(parts) && !isBargaining(parts)) return true;
  }
  return false;
}

/** Numbers of a like size one after the other are bids. */
function isBargaining(parts: readonly DigitGroup[]): boolean {
  return parts.some(({ digits }, at) => {
    const next = parts[at + 1]?.digits ?? "0";
    if (digits.length < 3 || next.startsWith("0")) return false;
    return Math.abs(Number(digits) - Number(next)) <= 0.2 * Math.max(Number(digits), Number(next));
  });
}
