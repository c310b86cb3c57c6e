// SPDX-License-Identifier: Apache-2.0
import protobuf from "protobufjs";
import { root } from "./load.ts";

/** The first thing that is wrong with a value, in words for the person who wrote it: ASCII, at most 120 characters. */
export class JsonFaults {
  first: string | undefined;

  add(path: string, problem: string): undefined {
    this.first ??= `${path} ${problem}`.slice(0, MAX_FAULT_CHARS);
  }
}

const MAX_FAULT_CHARS = 120;
const MAX_ECHO_CHARS = 24;
const DECIMAL = /^(0|-?[1-9]\d{0,15})$/;

/** A name as somebody else wrote it: quoted, cut, and ASCII, so that it may be part of a reason. */
export function echo(name: string): string {
  const cut = name.length > MAX_ECHO_CHARS ? `${name.slice(0, MAX_ECHO_CHARS)}...` : name;
  return `"${cut.replace(/[^\x20-\x7e]|["\\]/g, "?")}"`;
}

/** True: an object with names, which is neither null nor an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** How one type looks in JSON. `T` is its value in a protobuf message. */
interface JsonKind {
  /** Undefined, and a fault, when `value` is not of this kind. */
  read(value: unknown, path: string, faults: JsonFaults): unknown;
  show(value: unknown): unknown;
  /** proto3 leaves it out. */
  isDefault(value: unknown): boolean;
}

function integer(min: number, max: number, isWide: boolean): JsonKind {
  const wanted = isWide ? "an integer, or a string of one," : "an integer";
  return {
    read(value, path, faults) {
      const number = isWide && typeof value === "string" && DECIMAL.test(value) ? Number(value) : value;
      if (Number.isSafeInteger(number) && (number as number) >= min && (number as number) <= max) return number;
      return faults.add(path, `must be ${wanted} from ${min} to ${max}`);
    },
    // Not every reader of JSON keeps 53 bits.
    show: (value) => (isWide ? String(value) : value),
    isDefault: (value) => value === 0,
  };
}

const STRING: JsonKind = {
  read(value, path, faults) {
    if (typeof value !== "string") return faults.add(path, "must be a string");
    return value.isWellFormed() ? value : faults.add(path, "must be Unicode: it has half of a surrogate pair");
  },
  show: (value) => value,
  isDefault: (value) => value === "",
};

const BYTES: JsonKind = {
  read(value, path, faults) {
    const bytes = typeof value === "string" ? Buffer.from(value, "base64") : undefined;
    // One text for the same bytes: what decoders forgive is refused.
    if (bytes?.toString("base64") === value) return bytes;
    return faults.add(path, "must be base64 with A-Z a-z 0-9 + / and padding");
  },
  show: (value) => Buffer.from(value as Uint8Array).toString("base64"),
  isDefault: (value) => (value as Uint8Array).length === 0,
};

/** Bytes that are base64 in JSON; undefined, and a fault, when they are not. */
export function readBytes(value: unknown, path: string, faults: JsonFaults): Uint8Array | undefined {
  return BYTES.read(value, path, faults) as Uint8Array | undefined;
}

const BOOL: JsonKind = {
  read: (value, path, faults) => (typeof value === "boolean" ? value : faults.add(path, "must be true or false")),
  show: (value) => value,
  isDefault: (value) => value === false,
};

const SCALARS: ReadonlyMap<string, JsonKind> = new Map([
  ["uint32", integer(0, 2 ** 32 - 1, false)],
  ["uint64", integer(0, Number.MAX_SAFE_INTEGER, true)],
  ["int64", integer(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true)],
  ["string", STRING],
  ["bytes", BYTES],
  ["bool", BOOL],
]);

interface JsonField {
  readonly name: string;
  readonly kind: JsonKind;
  readonly isRepeated: boolean;
  readonly isMessage: boolean;
}

function fieldOf(field: protobuf.Field): JsonField {
  field.resolve();
  const isMessage = field.resolvedType instanceof protobuf.Type;
  const kind = isMessage ? JsonMessage.of(field.resolvedType as protobuf.Type) : SCALARS.get(field.type);
  if (!kind || field.map || field.partOf) throw new Error(`no JSON form of ${field.fullName}`);
  return { name: field.name, kind, isRepeated: field.repeated, isMessage };
}

/**
 * One message of the schema as JSON: names in camelCase, bytes in base64, 64-bit integers as decimal strings (numbers are taken, too;
 * neither goes beyond 2^53 - 1), absent messages null. Shown with every field, read strictly.
 */
export class JsonMessage implements JsonKind {
  static readonly #known = new Map<protobuf.Type, JsonMessage>();
  readonly #type: protobuf.Type;
  readonly #fields: ReadonlyMap<string, JsonField>;

  private constructor(type: protobuf.Type) {
    this.#type = type;
    this.#fields = new Map(type.fieldsArray.map((field) => [field.name, fieldOf(field)]));
  }

  /** Shared: messages are in several others. */
  static of(type: protobuf.Type): JsonMessage {
    const known = JsonMessage.#known.get(type) ?? new JsonMessage(type);
    JsonMessage.#known.set(type, known);
    return known;
  }

  /** By full name, e.g. `im.client.v1.Hello`. */
  static named(typeName: string): JsonMessage {
    return JsonMessage.of(root.lookupType(typeName));
  }

  /** Bytes of the message that `value` is; with a fault they mean nothing. */
  encode(value: unknown, path: string, faults: JsonFaults): Uint8Array {
    const fields = this.read(value, path, faults);
    return this.#type.encode(fields ?? {}).finish();
  }

  /** @throws Error on bytes that are not this message */
  decode(bytes: Uint8Array): Record<string, unknown> {
    return this.show(this.#type.decode(bytes));
  }

  read(value: unknown, path: string, faults: JsonFaults): Record<string, unknown> | undefined {
    if (!isRecord(value)) return faults.add(path, "must be an object");
    const result: Record<string, unknown> = {};
    for (const [name, given] of Object.entries(value)) {
      const field = this.#fields.get(name);
      if (!field) return faults.add(path, `has no field ${echo(name)}`);
      const read = readField(field, given, `${path}.${name}`, faults);
      if (faults.first !== undefined) return undefined;
      if (read !== undefined) result[name] = read;
    }
    return result;
  }

  show(value: unknown): Record<string, unknown> {
    const message = value as Record<string, unknown>;
    return Object.fromEntries(
      [...this.#fields.values()].map((field) => [field.name, showField(field, message[field.name])]),
    );
  }

  isDefault(): boolean {
    return false;
  }
}

function readField(field: JsonField, value: unknown, path: string, faults: JsonFaults): unknown {
  const { kind, isRepeated, isMessage } = field;
  if (isRepeated) return readList(kind, value, path, faults);
  if (isMessage && value === null) return undefined;
  const read = kind.read(value, path, faults);
  return read === undefined || kind.isDefault(read) ? undefined : read;
}

function readList(kind: JsonKind, value: unknown, path: string, faults: JsonFaults): unknown[] | undefined {
  if (!Array.isArray(value)) return faults.add(path, "must be an array");
  const list: unknown[] = [];
  for (const [index, item] of value.entries()) {
    list.push(kind.read(item, `${path}[${index}]`, faults));
    if (faults.first !== undefined) return undefined;
  }
  return list;
}

function showField({ kind, isRepeated, isMessage }: JsonField, value: unknown): unknown {
  if (isRepeated) return (value as unknown[]).map((item) => kind.show(item));
  return isMessage && value === null ? null : kind.show(value);
}
