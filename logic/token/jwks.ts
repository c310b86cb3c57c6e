// SPDX-License-Identifier: Apache-2.0
import { readFile } from "node:fs/promises";
import type { JSONWebKeySet, JWK } from "jose";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** Signature algorithms accepted in tokens; symmetric ones and "none" never are. */
export const TOKEN_ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256"] as const;

const MIN_RSA_BITS = 2048;

/** The public keys tokens are checked with, as they are now. */
export interface KeySet {
  current(): JSONWebKeySet;
}

/**
 * Parses a JWKS and keeps the public signature keys in it. Private parts are dropped, so they never reach memory
 * that outlives this call.
 * @throws {ImError} BAD_REQUEST naming the key and the problem
 */
export function parseJwks(text: string): JSONWebKeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw bad("is not JSON", cause);
  }
  const keys: unknown = (parsed as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys) || keys.length === 0) throw bad("has no keys");
  const usable = keys.map((key: unknown, at) => publicKey(key, at));
  const kids = new Set(usable.map((key) => key.kid));
  if (kids.size !== usable.length) throw bad("has two keys with one kid");
  return { keys: usable };
}

function publicKey(key: unknown, at: number): JWK {
  const { kty, crv, x, y, n, e, kid, use } = (key ?? {}) as JWK;
  if (typeof kid !== "string" || kid === "") throw bad(`key ${at} has no kid`);
  if (use !== undefined && use !== "sig") throw bad(`key ${kid} is not for signatures`);
  if (kty === "OKP" && crv === "Ed25519" && x) return { kty, crv, x, kid, use: "sig" };
  if (kty === "EC" && crv === "P-256" && x && y) return { kty, crv, x, y, kid, use: "sig", alg: "ES256" };
  if (kty === "RSA" && n && e) {
    if (Buffer.from(n, "base64url").length * 8 < MIN_RSA_BITS)
      throw bad(`key ${kid} is RSA below ${MIN_RSA_BITS} bits`);
    return { kty, n, e, kid, use: "sig", alg: "RS256" };
  }
  throw bad(`key ${kid} is neither Ed25519, P-256 nor RSA`);
}

function bad(problem: string, cause?: unknown): ImError {
  return new ImError(ErrorCode.BAD_REQUEST, `the JWKS file ${problem}`, { cause });
}

/** Options of {@link JwksFile}. */
export interface JwksFileOptions {
  clock: Clock;
  /** How often the content is compared. Default 5,000. */
  pollMs?: number;
  /** A change was refused: the keys before it stay in force. */
  onError: (error: unknown) => void;
}

/** A JWKS file that is read again when its content changes, as mounted Secrets do. */
export class JwksFile implements KeySet {
  readonly #path: string;
  readonly #options: JwksFileOptions;
  #text: string;
  #keys: JSONWebKeySet;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  private constructor(path: string, text: string, options: JwksFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#text = text;
    this.#keys = parseJwks(text);
    this.#schedule();
  }

  /** @throws {ImError} when the file cannot be read or holds no usable keys */
  static async open(path: string, options: JwksFileOptions): Promise<JwksFile> {
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (cause) {
      throw new ImError(ErrorCode.BAD_REQUEST, `cannot read the JWKS file ${path}: set IM_JWKS_FILE`, { cause });
    }
    return new JwksFile(path, text, options);
  }

  current(): JSONWebKeySet {
    return this.#keys;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  /** Compares the file once, now. */
  async poll(): Promise<void> {
    try {
      const text = await readFile(this.#path, "utf8");
      if (text !== this.#text) {
        this.#keys = parseJwks(text);
        this.#text = text;
      }
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.after(this.#options.pollMs ?? 5000, () => {
      void this.poll().then(() => {
        if (!this.#isClosed) this.#schedule();
      });
    });
  }
}
