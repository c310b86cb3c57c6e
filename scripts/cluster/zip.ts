// SPDX-License-Identifier: Apache-2.0
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { ClusterFault } from "./fault.ts";

/** One file or folder of a zip archive. */
export interface ZipEntry {
  name: string;
  isFolder: boolean;
  /** Permission bits as the archive's maker had them, e.g. 0o755; 0 when it did not say. */
  mode: number;
  size: number;
  read(): Buffer;
}

const END_SIGNATURE = 0x06054b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const STORED = 0;
const DEFLATED = 8;

function readAt(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, buffer, done, length - done, position + done);
    if (count === 0) throw new Error("the archive ends early");
    done += count;
  }
  return buffer;
}

function findEnd(fd: number, fileBytes: number): Buffer {
  const length = Math.min(fileBytes, END_BYTES + MAX_COMMENT_BYTES);
  const tail = readAt(fd, fileBytes - length, length);
  for (let at = length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) === END_SIGNATURE) return tail.subarray(at);
  }
  throw new Error("no end record: not a zip archive");
}

function readContent(fd: number, header: Buffer): Buffer {
  const method = header.readUInt16LE(10);
  const storedBytes = header.readUInt32LE(20);
  const size = header.readUInt32LE(24);
  const at = header.readUInt32LE(42);
  const local = readAt(fd, at, 30);
  if (local.readUInt32LE(0) !== LOCAL_SIGNATURE) throw new Error("bad local header");
  const start = at + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  const stored = readAt(fd, start, storedBytes);
  if (method !== STORED && method !== DEFLATED) throw new Error(`compression method ${method} is not known`);
  const content = method === STORED ? stored : inflateRawSync(stored, { maxOutputLength: Math.max(size, 1) });
  if (content.length !== size) throw new Error(`${content.length} bytes instead of ${size}`);
  return content;
}

function readDirectory(fd: number): ZipEntry[] {
  const end = findEnd(fd, fstatSync(fd).size);
  const count = end.readUInt16LE(10);
  const directory = readAt(fd, end.readUInt32LE(16), end.readUInt32LE(12));
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const header = directory.subarray(at);
    if (header.readUInt32LE(0) !== CENTRAL_SIGNATURE) throw new Error("bad central header");
    const nameBytes = header.readUInt16LE(28);
    const name = header.toString("utf8", 46, 46 + nameBytes);
    at += 46 + nameBytes + header.readUInt16LE(30) + header.readUInt16LE(32);
    entries.push({
      name,
      isFolder: name.endsWith("/"),
      mode: (header.readUInt32LE(38) >>> 16) & 0o777,
      size: header.readUInt32LE(24),
      read: () => guarded(name, () => readContent(fd, header)),
    });
  }
  return entries;
}

function guarded<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ClusterFault(`${name} cannot be read as zip: ${reason}`, "Remove the archive and install it again.", {
      cause: error,
    });
  }
}

/**
 * Opens a zip archive (no zip64, no encryption), hands its entries to `use`, and closes it. Content is read when
 * {@link ZipEntry.read} is called, so `use` must not keep entries. Throws {@link ClusterFault} on a damaged archive.
 */
export function withZip<T>(path: string, use: (entries: ZipEntry[]) => T): T {
  const fd = openSync(path, "r");
  try {
    return use(guarded(path, () => readDirectory(fd)));
  } finally {
    closeSync(fd);
  }
}
