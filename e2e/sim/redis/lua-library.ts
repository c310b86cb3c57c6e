// SPDX-License-Identifier: Apache-2.0
// What compiled scripts call: Lua's operators, tables and the library functions that scripts in Redis have.

/** `redis` as scripts see it. */
export interface Redis {
  call(words: readonly string[]): unknown;
}

/** A Lua table: what is keyed by the numbers from 1 on without a gap, and the rest. */
export class Table {
  readonly #list: unknown[] = [];
  #rest: Map<unknown, unknown> | undefined;

  get length(): number {
    return this.#list.length;
  }

  get(key: unknown): unknown {
    return typeof key === "number" && key >= 1 && key <= this.#list.length && Number.isInteger(key)
      ? this.#list[key - 1]
      : this.#rest?.get(key);
  }

  set(key: unknown, value: unknown): void {
    const { length } = this.#list;
    if (typeof key === "number" && Number.isInteger(key) && key >= 1 && key <= length + 1) {
      if (value === undefined) this.#cut(key);
      else {
        this.#list[key - 1] = value;
        if (key > length && this.#rest) this.#join();
      }
    } else if (value === undefined) this.#rest?.delete(key);
    else {
      this.#rest ??= new Map();
      this.#rest.set(key, value);
    }
  }

  toList(): unknown[] {
    return this.#list.slice();
  }

  *pairs(): Generator<[unknown, unknown]> {
    for (const [at, item] of this.#list.entries()) yield [at + 1, item];
    if (this.#rest) yield* this.#rest;
  }

  /** One in the middle is taken away: those behind it are no longer without a gap. */
  #cut(key: number): void {
    const behind = this.#list.splice(key - 1).slice(1);
    if (behind.length === 0) return;
    this.#rest ??= new Map();
    for (const [at, item] of behind.entries()) this.#rest.set(key + 1 + at, item);
  }

  /** The gap is filled. */
  #join(): void {
    for (;;) {
      const next = this.#rest?.get(this.#list.length + 1);
      if (next === undefined) return;
      this.#rest?.delete(this.#list.length + 1);
      this.#list.push(next);
    }
  }
}

function list(items: readonly unknown[]): Table {
  const table = new Table();
  for (let at = 0; at < items.length; at++) if (items[at] !== undefined) table.set(at + 1, items[at]);
  return table;
}

/** Several results of one call. */
class Results {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** The first one of them. */
export function one(value: unknown): unknown {
  return value instanceof Results ? value.items[0] : value;
}

/** An error that a script or a command in it raised: the reply of EVALSHA. */
export class LuaError extends Error {
  override readonly name = "ReplyError";
}

const truthy = (value: unknown): boolean => value !== undefined && value !== false;

/** %.14g, which is how Lua 5.1 writes a number. */
export function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e14) return String(value);
  return String(Number(value.toPrecision(14))).replace(/e([+-])(\d)$/, "e$10$2");
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return numberText(value);
  throw new LuaError(`ERR attempt to concatenate a ${typeName(value)} value`);
}

function tonumber(value: unknown, base?: number): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const parsed = base === undefined ? Number(value) : Number.parseInt(value, base);
  return Number.isNaN(parsed) ? undefined : parsed;
}

function arithmetic(value: unknown): number {
  const parsed = tonumber(value);
  if (parsed === undefined) throw new LuaError(`ERR attempt to perform arithmetic on a ${typeName(value)} value`);
  return parsed;
}

function typeName(value: unknown): string {
  if (value === undefined) return "nil";
  if (value instanceof Table) return "table";
  return typeof value;
}

function compare(a: unknown, b: unknown): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : Number(a > b);
  throw new LuaError(`ERR attempt to compare ${typeName(a)} with ${typeName(b)}`);
}

function call(fn: unknown, ...args: unknown[]): unknown {
  if (typeof fn !== "function") throw new LuaError(`ERR attempt to call a ${typeName(fn)} value`);
  return fn(...args);
}

function get(table: unknown, key: unknown): unknown {
  if (table instanceof Table) return table.get(key);
  if (typeof table === "string") return lua_string[String(key)];
  if (typeof table === "object" && table !== null)
    return "call" in table ? redisMember(table as Redis, String(key)) : (table as Record<string, unknown>)[String(key)];
  throw new LuaError(`ERR attempt to index a ${typeName(table)} value (field '${String(key)}')`);
}

function command(redis: Redis, ...words: unknown[]): unknown {
  return fromReply(redis.call(words.map(text)));
}

/** What a command refuses is its result. */
function protectedCommand(redis: Redis, words: readonly unknown[]): unknown {
  try {
    return command(redis, ...words);
  } catch (error) {
    if (error instanceof LuaError) return table_of([], [["err", error.message]]);
    throw error;
  }
}

function redisMember(redis: Redis, key: string): unknown {
  if (key === "call") return (...words: unknown[]) => command(redis, ...words);
  if (key === "pcall") return (...words: unknown[]) => protectedCommand(redis, words);
  if (key === "error_reply") return (message: string) => table_of([], [["err", message]]);
  if (key === "status_reply") return (message: string) => table_of([], [["ok", message]]);
  if (key === "replicate_commands") return () => true;
  return undefined;
}

/** A reply of a command as Lua sees it: nil replies are false. */
function fromReply(reply: unknown): unknown {
  if (reply === null || reply === undefined) return false;
  if (Array.isArray(reply)) return list(reply.map(fromReply));
  if (reply === "OK") return table_of([], [["ok", "OK"]]);
  return reply;
}

function set(table: unknown, key: unknown, value: unknown): void {
  if (!(table instanceof Table)) throw new LuaError(`ERR attempt to index a ${typeName(table)} value`);
  table.set(key, value);
}

function table_of(items: readonly unknown[], fields: readonly (readonly [unknown, unknown])[]): Table {
  const table = list(items);
  for (const [key, value] of fields) set(table, key, value);
  return table;
}

function* ipairs(table: Table): Generator<[number, unknown]> {
  for (let at = 1; at <= table.length; at++) yield [at, table.get(at)];
}

const CLASSES: Readonly<Record<string, string>> = {
  d: "\\d",
  D: "\\D",
  s: "\\s",
  S: "\\S",
  w: "[A-Za-z0-9]",
  W: "[^A-Za-z0-9]",
  a: "[A-Za-z]",
  x: "[0-9a-fA-F]",
};
/** An escape, a set, or one character. */
const PATTERN_PART = /%(.)|\[[^\]]*\]|./gs;

const patterns = new Map<string, RegExp>();

/** A Lua pattern as a regular expression; made once, and without a position of its own. */
function pattern(source: string): RegExp {
  let known = patterns.get(source);
  if (!known) {
    known = compilePattern(source);
    patterns.set(source, known);
  }
  return known;
}

function compilePattern(source: string): RegExp {
  const parts = source.replace(PATTERN_PART, (part: string, escaped: string | undefined) => {
    if (escaped !== undefined) return CLASSES[escaped] ?? escaped.replace(/[\\^$.*+?()[\]{}|-]/g, "\\$&");
    if (part.length > 1) return part.replaceAll("\\", "\\\\").replaceAll("%", "\\");
    if (part === "-") return "*?";
    return /[\\{}|]/.test(part) ? `\\${part}` : part;
  });
  return new RegExp(parts, "s");
}

function slice(value: unknown, from = 1, to = -1): string {
  const string = text(value);
  const start = from < 0 ? Math.max(string.length + from, 0) : Math.max(from - 1, 0);
  const end = to < 0 ? string.length + to + 1 : to;
  return string.slice(start, Math.max(start, end));
}

function match(value: string, source: string): unknown {
  const found = pattern(source).exec(value);
  if (!found) return undefined;
  return found.length > 1 ? new Results(found.slice(1)) : found[0];
}

function find(value: string, source: string, from = 1, isPlain = false): unknown {
  const rest = value.slice(from - 1);
  const at = isPlain ? rest.indexOf(source) : rest.search(pattern(source));
  if (at < 0) return undefined;
  const length = isPlain ? source.length : (pattern(source).exec(rest)?.[0].length ?? 0);
  return new Results([from + at, from + at + length - 1]);
}

function gmatch(value: string, source: string): unknown[][] {
  const results: unknown[][] = [];
  const plain = pattern(source);
  for (let rest = value; rest !== ""; ) {
    const found = plain.exec(rest);
    if (!found) break;
    results.push(found.length > 1 ? found.slice(1) : [found[0]]);
    rest = rest.slice(found.index + Math.max(1, found[0].length));
  }
  return results;
}

function format(template: string, ...args: unknown[]): string {
  let at = 0;
  return template.replace(/%(?:(0?)(\d*)([dsx])|\.(\d)f|(.))/g, (whole, zero, width, kind, digits, other) => {
    if (other === "%") return "%";
    if (other !== undefined) throw new LuaError(`ERR the model has no format ${whole}`);
    const value = args[at++];
    if (digits !== undefined) return arithmetic(value).toFixed(Number(digits));
    const shown = kind === "s" ? text(value) : Math.trunc(arithmetic(value)).toString(kind === "x" ? 16 : 10);
    return shown.padStart(Number(width || 0), zero || " ");
  });
}

const lua_string: Readonly<Record<string, unknown>> = {
  sub: slice,
  match,
  find,
  gmatch,
  format,
  len: (value: string) => value.length,
  rep: (value: string, count: number) => value.repeat(Math.max(0, count)),
  lower: (value: string) => value.toLowerCase(),
};

const lua_table: Readonly<Record<string, unknown>> = {
  insert: (table: Table, ...rest: unknown[]) => set(table, table.length + 1, rest.at(-1)),
  concat: (table: Table, separator = "") => table.toList().map(text).join(separator),
  getn: (table: Table) => table.length,
};

/** Everything generated code may name. */
export const library = {
  results: (items: readonly unknown[]) => new Results(items),
  list,
  truthy,
  get,
  set,
  call,
  command,
  table_of,
  arithmetic,
  ipairs,
  tonumber,
  pairs: (table: Table) => table.pairs(),
  tostring: (value: unknown) =>
    value === undefined ? "nil" : typeof value === "boolean" ? String(value) : text(value),
  unpack: (table: Table) => new Results(table.toList()),
  type: typeName,
  error: (message: unknown) => {
    throw new LuaError(text(message));
  },
  lua_string,
  lua_table,
  lua_math: {
    floor: Math.floor,
    ceil: Math.ceil,
    min: Math.min,
    max: Math.max,
    abs: Math.abs,
    huge: Number.POSITIVE_INFINITY,
  },
  one,
  all: (value: unknown) => (value instanceof Results ? value.items : [value]),
  length: (value: unknown) => (value instanceof Table ? value.length : text(value).length),
  concat: (a: unknown, b: unknown) => text(a) + text(b),
  add: (a: unknown, b: unknown) => arithmetic(a) + arithmetic(b),
  sub: (a: unknown, b: unknown) => arithmetic(a) - arithmetic(b),
  mul: (a: unknown, b: unknown) => arithmetic(a) * arithmetic(b),
  div: (a: unknown, b: unknown) => arithmetic(a) / arithmetic(b),
  mod: (a: unknown, b: unknown) => arithmetic(a) - Math.floor(arithmetic(a) / arithmetic(b)) * arithmetic(b),
  eq: (a: unknown, b: unknown) => a === b,
  ne: (a: unknown, b: unknown) => a !== b,
  lt: (a: unknown, b: unknown) => compare(a, b) < 0,
  gt: (a: unknown, b: unknown) => compare(a, b) > 0,
  le: (a: unknown, b: unknown) => compare(a, b) <= 0,
  ge: (a: unknown, b: unknown) => compare(a, b) >= 0,
  and: (a: unknown, b: () => unknown) => (truthy(a) ? b() : a),
  or: (a: unknown, b: () => unknown) => (truthy(a) ? a : b()),
};

/** A script's result as a reply of Redis: numbers lose their fraction, true is 1, nil and false are null. */
export function toReply(value: unknown): unknown {
  if (typeof value === "number") return Math.trunc(value);
  if (value === true) return 1;
  if (value === false || value === undefined) return null;
  if (!(value instanceof Table)) return value;
  const error = value.get("err");
  if (typeof error === "string") return new LuaError(error);
  const status = value.get("ok");
  return typeof status === "string" ? status : value.toList().map(toReply);
}
