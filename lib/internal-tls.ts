// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode, ImError, toImError } from "./errors.ts";
import { type TlsFiles, watchTlsFiles } from "./tls-files.ts";

/** Content of an internal TLS Secret, PEM: the CA of the cluster and this process's own leaf. */
export interface InternalTls {
  ca: Buffer;
  cert: Buffer;
  key: Buffer;
}

/** What a process is, proven by the SAN `<role>.imcluster.internal` of its certificate. */
export type Role = "entry" | "logic" | "extlogic" | "operator" | "admin";

/** DNS name that stands for a role in a certificate. */
export const roleName = (role: string): string => `${role}.imcluster.internal`;

/** Reads ca.crt, tls.crt and tls.key; undefined when `dir` is unset: plaintext, for development and tests. */
export function loadInternalTls(dir: string | undefined): InternalTls | undefined {
  if (dir === undefined || dir === "") return undefined;
  try {
    const read = (name: string) => readFileSync(join(dir, name));
    return { ca: read("ca.crt"), cert: read("tls.crt"), key: read("tls.key") };
  } catch (cause) {
    throw new ImError(ErrorCode.BAD_REQUEST, `IM_INTERNAL_TLS_DIR: ${toImError(cause).message}`, { cause });
  }
}

/** A pair that follows the files in its folder. */
export interface InternalTlsWatch {
  /** The pair in force; undefined = plaintext. */
  current(): InternalTls | undefined;
  close(): void;
}

/**
 * As {@link loadInternalTls}, and calls `onChange` whenever the folder holds another usable pair: leaf certificates are
 * renewed long before they end, and no process restarts for that.
 */
export function watchInternalTls(
  dir: string | undefined,
  onChange: (tls: InternalTls) => void,
  onError: (error: ImError) => void,
): InternalTlsWatch {
  let current = loadInternalTls(dir);
  if (dir === undefined || current === undefined) return { current: () => undefined, close: () => undefined };
  const take = ({ ca, cert, key }: TlsFiles): void => {
    if (!ca) return;
    current = { ca, cert, key };
    onChange(current);
  };
  const watch = watchTlsFiles(dir, take, { onError });
  return { current: () => current, close: () => watch.close() };
}
