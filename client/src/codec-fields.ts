// SPDX-License-Identifier: Apache-2.0
// What tables of messages are made of: encoder, decoder and type come from the same table.
import { EMPTY, malformed, Reader, text, Writer } from "./wire.ts";

/** One field of a message. */
export interface Field<T> {
  readonly number: number;
  readonly wireType: 0 | 2;
  initial(): T;
  /** Never called for the default value, except as an element of a repeated field. */
  write(out: Writer, value: T): void;
  /** `before` is the value so far: repeated fields append to it. */
  read(input: Reader, before: T): T;
}

/** A message: its fields by name. */
export interface FieldTable {
  readonly [name: string]: Field<unknown>;
}
export type ValueOf<T extends FieldTable> = { [K in keyof T]: T[K] extends Field<infer V> ? V : never };

/** Encoder and decoder of one message. */
export interface Codec<T> {
  /** Missing fields are proto3 defaults, which take no bytes. */
  encode(value: Partial<T>): Uint8Array;
  /** @throws ImClientError BAD_FRAME on bytes that are not this message. Bytes fields are views of the input. */
  decode(bytes: Uint8Array): T;
}

const numeric =
  <T extends number | boolean>(initial: T, read: (input: Reader) => T) =>
  (number: number): Field<T> => ({
    number,
    wireType: 0,
    initial: () => initial,
    write: (out, value) => out.varint(number, Number(value)),
    read,
  });
export const uint32 = numeric(0, (input) => input.uint32());
export const uint64 = numeric(0, (input) => input.varint());
export const int64 = numeric(0, (input) => input.int64());
export const bool = numeric(false, (input) => input.varint() !== 0);

const delimited = <T>(
  number: number,
  initial: T,
  write: (out: Writer, value: T) => void,
  read: (bytes: Uint8Array) => T,
): Field<T> => ({ number, wireType: 2, initial: () => initial, write, read: (input) => read(input.bytes()) });
export const bytes = (number: number): Field<Uint8Array> =>
  delimited(
    number,
    EMPTY,
    (out, value) => out.bytes(number, value),
    (value) => value,
  );
export const string = (number: number): Field<string> =>
  delimited(number, "", (out, value) => out.string(number, value), text);
export const one = <T>(number: number, inner: Codec<T>): Field<T | null> =>
  delimited<T | null>(
    number,
    null,
    (out, value) => value !== null && out.bytes(number, inner.encode(value)),
    inner.decode,
  );

const repeated = <T>(inner: Field<T | null> | Field<T>): Field<T[]> => ({
  ...inner,
  initial: () => [],
  write(out, values) {
    for (const value of values) inner.write(out, value);
  },
  read(input, before) {
    before.push(inner.read(input, inner.initial() as never) as T);
    return before;
  },
});
export const strings = (number: number): Field<string[]> => repeated(string(number));
export const many = <T>(number: number, inner: Codec<T>): Field<T[]> => repeated<T>(one(number, inner));

export function message<T extends FieldTable>(fields: T): Codec<ValueOf<T>> {
  const entries = Object.entries(fields);
  const byNumber = new Map(entries.map(([name, field]) => [field.number, { name, field }]));
  return {
    encode(value) {
      const out = new Writer();
      const given: Record<string, unknown> = value;
      for (const [name, field] of entries) {
        const set = given[name];
        // Not for 0, false, "", null, no bytes and no elements: those are the defaults.
        if (set && (set as { length?: number }).length !== 0) field.write(out, set);
      }
      return out.finish();
    },
    decode(source) {
      const result: Record<string, unknown> = {};
      for (const [name, field] of entries) result[name] = field.initial();
      const input = new Reader(source);
      while (!input.done) {
        const tag = input.uint32();
        const known = byNumber.get(tag >>> 3);
        if (tag < 8) throw malformed("field number 0");
        if (known?.field.wireType !== (tag & 7)) input.skip(tag & 7);
        else result[known.name] = known.field.read(input, result[known.name]);
      }
      return result as ValueOf<T>;
    },
  };
}
/** The fields of a message. */
export type Decoded<M> = M extends Codec<infer T> ? T : never;
