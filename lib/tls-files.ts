// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { ErrorCode, ImError, toImError } from "./errors.ts";

/** Content of a TLS Secret, PEM. */
export interface TlsFiles {
  cert: Buffer;
  key: Buffer;
  /** Absent when the folder has no ca.crt. */
  ca: Buffer | undefined;
}

export interface TlsFilesWatch {
  /** The pair in force. */
  current(): TlsFiles;
  /** Reads at once instead of at the next poll. */
  check(): void;
  close(): void;
}

/** Options of {@link watchTlsFiles}. */
export interface TlsWatchOptions {
  /** Default 5000. Polling, because a Secret volume swaps symlinks and inotify misses that. */
  pollMs?: number;
  /** A pair that cannot be used: the old one stays in force. Called once per bad content. */
  onError?: (error: ImError) => void;
}

/** Reads tls.crt, tls.key and, if there, ca.crt. @throws {ImError} BAD_REQUEST when missing, or no usable pair */
export function readTlsFiles(dir: string): TlsFiles {
  try {
    const caFile = join(dir, "ca.crt");
    const files: TlsFiles = {
      cert: readFileSync(join(dir, "tls.crt")),
      key: readFileSync(join(dir, "tls.key")),
      ca: existsSync(caFile) ? readFileSync(caFile) : undefined,
    };
    createSecureContext({ cert: files.cert, key: files.key });
    return files;
  } catch (cause) {
    const detail = toImError(cause).message;
    throw new ImError(ErrorCode.BAD_REQUEST, `no usable tls.crt and tls.key in ${dir}: ${detail}`, { cause });
  }
}

/** Reads the pair now (a fault is thrown) and calls `onChange` whenever its content changed to another usable pair. */
export function watchTlsFiles(
  dir: string,
  onChange: (files: TlsFiles) => void,
  options: TlsWatchOptions = {},
): TlsFilesWatch {
  let current = readTlsFiles(dir);
  let print = fingerprint(current);
  let failed = "";
  const check = (): void => {
    try {
      const next = readTlsFiles(dir);
      failed = "";
      const nextPrint = fingerprint(next);
      if (nextPrint === print) return;
      current = next;
      print = nextPrint;
      onChange(next);
    } catch (thrown) {
      const error = toImError(thrown);
      if (error.message !== failed) options.onError?.(error);
      failed = error.message;
    }
  };
  const timer = setInterval(check, options.pollMs ?? 5000);
  timer.unref();
  return { current: () => current, check, close: () => clearInterval(timer) };
}

function fingerprint(files: TlsFiles): string {
  const hash = createHash("sha256");
  for (const part of [files.cert, files.key, files.ca ?? Buffer.alloc(0)]) {
    hash.update(`${part.length}:`).update(part);
  }
  return hash.digest("base64");
}
