// SPDX-License-Identifier: Apache-2.0
import { closeSync, lstatSync, openSync, readSync } from "node:fs";

/** One member of a layer. Paths are absolute in the image, without a trailing slash. */
export type TarEntry = { path: string; uid?: number } & (
  | { kind: "folder"; mode?: number }
  | { kind: "link"; target: string }
  | { kind: "content"; mode?: number; content: string | Buffer }
  | { kind: "file"; mode?: number; source: string }
);

const BLOCK = 512;
const CHUNK = 1 << 20;
const END = Buffer.alloc(2 * BLOCK);
const TYPE_FLAG = { file: "0", content: "0", link: "2", folder: "5", extended: "x" } as const;

interface Header {
  name: string;
  flag: string;
  mode: number;
  uid: number;
  size: number;
  linkTarget: string;
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, "0")}\0`;
}

function encodeHeader(header: Header): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(header.name, 0, 100);
  block.write(octal(header.mode, 8), 100);
  block.write(octal(header.uid, 8), 108);
  block.write(octal(header.uid, 8), 116);
  block.write(octal(header.size, 12), 124);
  block.write(octal(0, 12), 136);
  block.write(" ".repeat(8), 148);
  block.write(header.flag, 156);
  block.write(header.linkTarget, 157, 100);
  block.write("ustar\x0000", 257);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** One pax record: its own length counts in the length that it states. */
function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  const bodyBytes = Buffer.byteLength(body);
  let total = bodyBytes + String(bodyBytes).length;
  if (String(total).length > String(bodyBytes).length) total = bodyBytes + String(total).length;
  return `${total}${body}`;
}

function* encodeHeaders(header: Header): Generator<Buffer> {
  const records: string[] = [];
  if (Buffer.byteLength(header.name) > 100) records.push(paxRecord("path", header.name));
  if (Buffer.byteLength(header.linkTarget) > 100) records.push(paxRecord("linkpath", header.linkTarget));
  if (records.length > 0) {
    const body = Buffer.from(records.join(""));
    yield encodeHeader({
      name: "pax",
      flag: TYPE_FLAG.extended,
      mode: 0o644,
      uid: 0,
      size: body.length,
      linkTarget: "",
    });
    yield Buffer.concat([body, padding(body.length)]);
  }
  yield encodeHeader(header);
}

/** The bytes of a file that must be exactly `size` long: a file that changes while it is read fails the archive. */
function* readFile(source: string, size: number): Generator<Buffer> {
  const fd = openSync(source, "r");
  try {
    let left = size;
    while (left > 0) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, left));
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) throw new Error(`${source} became shorter while it was read`);
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

function* encodeEntry(entry: TarEntry): Generator<Buffer> {
  const name = entry.path.replace(/^\/+/, "") + (entry.kind === "folder" ? "/" : "");
  const base = { name, flag: TYPE_FLAG[entry.kind], uid: entry.uid ?? 0, size: 0, linkTarget: "" };
  switch (entry.kind) {
    case "folder":
      yield* encodeHeaders({ ...base, mode: entry.mode ?? 0o755 });
      return;
    case "link":
      yield* encodeHeaders({ ...base, mode: 0o777, linkTarget: entry.target });
      return;
    case "content": {
      const content = Buffer.from(entry.content);
      yield* encodeHeaders({ ...base, mode: entry.mode ?? 0o644, size: content.length });
      yield content;
      yield padding(content.length);
      return;
    }
    case "file": {
      const { size, mode } = lstatSync(entry.source);
      yield* encodeHeaders({ ...base, mode: entry.mode ?? (mode & 0o100 ? 0o755 : 0o644), size });
      yield* readFile(entry.source, size);
      yield padding(size);
    }
  }
}

/** Entries by path, with every missing parent folder, each path once (the last one given wins). */
export function completeEntries(entries: Iterable<TarEntry>): TarEntry[] {
  const byPath = new Map<string, TarEntry>();
  for (const entry of entries) byPath.set(entry.path, entry);
  for (const path of [...byPath.keys()]) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      if (byPath.has(parent)) break;
      byPath.set(parent, { kind: "folder", path: parent });
    }
  }
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * A tar archive, chunk by chunk: sorted, times 0, numeric owners only, modes 0644 or 0755 unless given. The same
 * inputs give the same bytes on every machine.
 */
export function* encodeTar(entries: Iterable<TarEntry>): Generator<Buffer> {
  for (const entry of completeEntries(entries)) yield* encodeEntry(entry);
  yield END;
}
