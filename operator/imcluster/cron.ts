// SPDX-License-Identifier: Apache-2.0

/** A cron expression, read. Sorted numbers; times are wall times of some zone, which is not known here. */
export interface Cron {
  minutes: readonly number[];
  hours: readonly number[];
  days: ReadonlySet<number>;
  /** 1 is January. */
  months: ReadonlySet<number>;
  /** 0 is Sunday. */
  weekdays: ReadonlySet<number>;
  /** Days of the month and of the week are both restricted: a day matches when one of them does. */
  isEitherDay: boolean;
}

interface Field {
  name: string;
  min: number;
  max: number;
  /** Names that stand for numbers from `min` on. */
  names?: readonly string[];
}

const MINUTE: Field = { name: "minute", min: 0, max: 59 };
const HOUR: Field = { name: "hour", min: 0, max: 23 };
const DAY: Field = { name: "day of the month", min: 1, max: 31 };
const MONTH: Field = {
  ...{ name: "month", min: 1, max: 12 },
  names: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
};
/** 7 is Sunday, too. */
const WEEKDAY: Field = {
  ...{ name: "day of the week", min: 0, max: 7 },
  names: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
};

/**
 * Reads five fields (minute, hour, day of the month, month, day of the week) of numbers, names (JAN, MON), `*`, ranges `a-b`,
 * steps `/n` and lists, as crontab(5) has them.
 *
 * @returns the expression, or a sentence that says what is wrong with it
 */
export function parseCron(text: string): Cron | string {
  const parts = text.trim().split(/\s+/);
  const [minute, hour, day, month, weekday] = parts;
  if (parts.length !== 5 || !minute || !hour || !day || !month || !weekday)
    return `${JSON.stringify(text)} has not the five fields of a cron expression, such as "0 2 * * *"`;
  const fields = [parseField(minute, MINUTE), parseField(hour, HOUR), parseField(day, DAY), parseField(month, MONTH)];
  const fault = [...fields, parseField(weekday, WEEKDAY)].find((read) => typeof read === "string");
  if (typeof fault === "string") return fault;
  const [minutes, hours, days, months] = fields.map(numbersOf);
  return {
    minutes: minutes ?? [],
    hours: hours ?? [],
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(numbersOf(parseField(weekday, WEEKDAY)).map((one) => one % 7)),
    isEitherDay: !day.startsWith("*") && !weekday.startsWith("*"),
  };
}

/** Does the date match? @param weekday 0 is Sunday */
export function matchesDay(cron: Cron, month: number, day: number, weekday: number): boolean {
  if (!cron.months.has(month)) return false;
  const byDay = cron.days.has(day);
  const byWeekday = cron.weekdays.has(weekday);
  return cron.isEitherDay ? byDay || byWeekday : byDay && byWeekday;
}

/** Sorted; none of a faulty field. */
function numbersOf(read: ReadonlySet<number> | string): number[] {
  return typeof read === "string" ? [] : [...read].sort((a, b) => a - b);
}

const ITEM = /^(?:(\*)|([0-9]{1,2}|[A-Za-z]{3})(?:-([0-9]{1,2}|[A-Za-z]{3}))?)(?:\/([0-9]{1,2}))?$/;

function parseField(text: string, field: Field): Set<number> | string {
  const numbers = new Set<number>();
  for (const item of text.split(",")) {
    const range = parseItem(item, field);
    if (!range) {
      return `${JSON.stringify(item)} is no ${field.name} of a cron expression: ${field.min} to ${field.max}, a-b, */n or a list of these`;
    }
    for (let number = range.from; number <= range.to; number += range.step) numbers.add(number);
  }
  return numbers;
}

function parseItem(item: string, field: Field): { from: number; to: number; step: number } | undefined {
  const [, star, first, last, every] = ITEM.exec(item) ?? [];
  if (star === undefined && first === undefined) return undefined;
  const step = every === undefined ? 1 : Number(every);
  const from = star ? field.min : numberOf(first, field);
  // `5/15` counts on to the end, as in most crons.
  const to = star || (last === undefined && every !== undefined) ? field.max : numberOf(last ?? first, field);
  if (step < 1 || from < field.min || to > field.max || !(from <= to)) return undefined;
  return { from, to, step };
}

/** NaN for what is no number of the field. */
function numberOf(text: string | undefined, { min, names = [] }: Field): number {
  if (text && /^[0-9]/.test(text)) return Number(text);
  const index = names.indexOf(text?.toUpperCase() ?? "");
  return index < 0 ? Number.NaN : min + index;
}
