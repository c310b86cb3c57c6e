// SPDX-License-Identifier: Apache-2.0
import { readFile } from "node:fs/promises";
import type { JSONWebKeySet, JWK } from "jose";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { repeat } from "#lib/repeat.ts";

/** Signature algorithms of tokens checked with public keys. */
export const PUBLIC_ALGORITHMS = ["EdDSA", "Ed25519", "ES256", "RS256"] as const;
/** Signature algorithms of tokens checked with a shared secret. */
export const SECRET_ALGORITHMS = ["HS256"] as const;

const MIN_RSA_BITS = 2048;
const MIN_SECRET_BYTES = 32;

/**
 * What tokens are checked with, as it is now: public keys or one shared secret, never both. So a token cannot choose
 * the kind of its signature, and a public key is never taken for a secret.
 */
export interface KeySet {
  current(): JSONWebKeySet | Uint8Array;
}

/**
 * A shared secret: all bytes of the file but a line break at its end.
 * @throws {ImError} BAD_REQUEST when it is too short to resist guessing
 */
export function parseSecret(text: string): Uint8Array {
  const secret = new TextEncoder().encode(text.replace(/\r?\n$/, ""));
  if (secret.length >= MIN_SECRET_BYTES) return secret;
  const problem = `the token secret has ${secret.length} bytes: make it of at least ${MIN_SECRET_BYTES} random ones`;
  throw new ImError(ErrorCode.BAD_REQUEST, problem);
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
  } catch {
    // The parser's own message quotes the file, and so a secret that was put there by mistake.
    throw bad("is not JSON");
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

function bad(problem: string): ImError {
  return new ImError(ErrorCode.BAD_REQUEST, `the JWKS file ${problem}`);
}

/** Options of {@link KeyFile}. */
export interface KeyFileOptions {
  clock: Clock;
  /** How often the content is compared. Default 5,000. */
  pollMs?: number;
  /** A change was refused: the keys before it stay in force. */
  onError: (error: unknown) => void;
}

/** A file with keys that is read again when its content changes, as mounted Secrets do. */
export class KeyFile<T> {
  readonly #path: string;
  readonly #options: KeyFileOptions;
  readonly #parse: (text: string) => T;
  #text: string;
  #keys: T;
  readonly #stop: () => void;

  private constructor(path: string, text: string, parse: (text: string) => T, options: KeyFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#parse = parse;
    this.#text = text;
    this.#keys = parse(text);
    this.#stop = repeat(options.clock, options.pollMs ?? 5000, () => this.poll());
  }

  /** A JWKS. @throws {ImError} when the file cannot be read or holds no usable keys */
  static async openJwks(path: string, options: KeyFileOptions): Promise<KeyFile<JSONWebKeySet>> {
    return new KeyFile(path, await readKeys(path, "IM_JWKS_FILE"), parseJwks, options);
  }

  /** A shared secret. @throws {ImError} when the file cannot be read or is too short */
  static async openSecret(path: string, options: KeyFileOptions): Promise<KeyFile<Uint8Array>> {
    return new KeyFile(path, await readKeys(path, "IM_TOKEN_SECRET_FILE"), parseSecret, options);
  }

  /**
   * Keys of any kind. @param variable that names the path, for the message of a fault
   * @throws {ImError} when the file cannot be read, and as `parse` does
   */
  static async open<T>(
    { path, variable, parse }: { path: string; variable: string; parse: (text: string) => T },
    options: KeyFileOptions,
  ): Promise<KeyFile<T>> {
    return new KeyFile(path, await readKeys(path, variable), parse, options);
  }

  current(): T {
    return this.#keys;
  }

  close(): void {
    this.#stop();
  }

  /** Compares the file once, now. */
  async poll(): Promise<void> {
    try {
      const text = await readFile(this.#path, "utf8");
      if (text !== this.#text) {
        this.#keys = this.#parse(text);
        this.#text = text;
      }
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

async function readKeys(path: string, variable: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ImError(ErrorCode.BAD_REQUEST, `cannot read the key file ${path}: set ${variable}`, { cause });
  }
}
