// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from "jose";
import { DisconnectCode } from "#lib/codes.ts";
import { internalId, internalTokenId, TENANT, TENANT_MARK } from "../tenant/tenant-ids.ts";
import { type KeySet, PUBLIC_ALGORITHMS, SECRET_ALGORITHMS } from "./jwks.ts";

export const MAX_TOKEN_BYTES = 4096;
/** Accepted tokens remembered by their digest: a reconnect storm costs 3 µs a token instead of 270. */
const MAX_REMEMBERED = 20_000;
/** Tolerated clock difference to the issuer: a token counts this much longer, and this much earlier. */
export const TOKEN_LEEWAY_MS = 60_000;
const MAX_TOKEN_ID_CHARS = 128;
const USER_ID = /^[A-Za-z0-9_.:@-]{1,64}$/;

/** Header parameters by which a token would bring or name its own key, or change how it is read. */
const FORBIDDEN_HEADERS = ["jwk", "jku", "x5c", "x5u", "x5t", "x5t#S256", "crit", "b64", "zip"] as const;

export type TokenVerdict =
  | {
      readonly kind: "ok";
      /** Claim `sub`, behind the prefix of the claim `tenant`, if there is one. */
      readonly userId: string;
      /** Claim `jti`, which is of its tenant, too; "" when there is none: then only a revocation of its user hits it. */
      readonly tokenId: string;
      /** Claim `iat`; 0 when there is none: then every revocation of its user hits it. */
      readonly issuedAtMs: number;
      readonly expiresAtMs: number;
    }
  | { readonly kind: "denied"; readonly code: DisconnectCode; readonly reason: string };

/** Options of {@link TokenVerifier}. */
export interface TokenVerifierOptions {
  keys: KeySet;
  issuer: string;
  audience: string;
  /** Signature algorithms allowed. Default: all that the kind of keys can have. */
  algorithms?: readonly string[];
  /** Wall clock in ms since the epoch. */
  nowMs: () => number;
  /** Default {@link TOKEN_LEEWAY_MS}. */
  leewayMs?: number;
}

/** May this string name a user? 1-64 of letters, digits and `_.:@-`. */
export function isUserId(value: string): boolean {
  return USER_ID.test(value);
}

/**
 * Checks access tokens against a fixed set of keys, one issuer and one audience. Never fetches anything, never takes a
 * key from the token, and never takes the kind of key from it either (RFC 8725). A denial is a value; its reason says what the caller should do.
 */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  #set: VerificationKeys | undefined;
  readonly #remembered = new Map<string, TokenVerdict & { kind: "ok" }>();

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  async verify(token: string): Promise<TokenVerdict> {
    if (token === "") return invalid("no token: put a signed access token into HELLO");
    if (Buffer.byteLength(token) > MAX_TOKEN_BYTES) return invalid(`the token is longer than ${MAX_TOKEN_BYTES} bytes`);
    const keys = this.#keys();
    // What is remembered passed all below under the same keys.
    const digest = hash("sha256", token, "base64");
    const known = this.#recall(digest);
    if (known) return known;
    const problem = headerProblem(token, keys);
    if (problem !== undefined) return invalid(problem);
    const verdict = await this.#check(token, keys);
    // Keys that changed meanwhile decide anew next time.
    if (verdict.kind === "ok" && keys === this.#keys()) this.#remember(digest, verdict);
    return verdict;
  }

  get #leewayMs(): number {
    return this.#options.leewayMs ?? TOKEN_LEEWAY_MS;
  }

  #recall(digest: string): TokenVerdict | undefined {
    const known = this.#remembered.get(digest);
    if (known && known.expiresAtMs + this.#leewayMs > this.#options.nowMs()) return known;
    if (known) this.#remembered.delete(digest);
    return undefined;
  }

  #remember(digest: string, verdict: TokenVerdict & { kind: "ok" }): void {
    const oldest = this.#remembered.keys().next();
    if (this.#remembered.size >= MAX_REMEMBERED && !oldest.done) this.#remembered.delete(oldest.value);
    this.#remembered.set(digest, verdict);
  }

  async #check(token: string, keys: VerificationKeys): Promise<TokenVerdict> {
    const nowMs = this.#options.nowMs();
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        algorithms: [...keys.algorithms],
        issuer: this.#options.issuer,
        audience: this.#options.audience,
        requiredClaims: ["exp", "sub"],
        clockTolerance: this.#leewayMs / 1000,
        currentDate: new Date(nowMs),
      });
      return accept(payload, nowMs + this.#leewayMs);
    } catch (thrown) {
      return denial(thrown);
    }
  }

  #keys(): VerificationKeys {
    const source = this.#options.keys.current();
    if (this.#set?.source !== source) {
      this.#set = verificationKeys(source, this.#options.algorithms);
      this.#remembered.clear();
    }
    return this.#set;
  }
}

interface VerificationKeys {
  readonly source: JSONWebKeySet | Uint8Array;
  readonly find: ReturnType<typeof createLocalJWKSet> | (() => Promise<Uint8Array>);
  readonly algorithms: readonly string[];
  /** Must the header name its key? One secret needs no name. */
  readonly needsKid: boolean;
}

function verificationKeys(source: JSONWebKeySet | Uint8Array, allowed?: readonly string[]): VerificationKeys {
  const isSecret = source instanceof Uint8Array;
  const possible: readonly string[] = isSecret ? SECRET_ALGORITHMS : PUBLIC_ALGORITHMS;
  // Two names of one algorithm: RFC 9864 renames EdDSA.
  const isAllowed = (algorithm: string): boolean =>
    allowed === undefined || allowed.includes(algorithm === "Ed25519" ? "EdDSA" : algorithm);
  const algorithms = possible.filter(isAllowed);
  const find = isSecret ? async () => source : createLocalJWKSet(source);
  return { source, find, algorithms, needsKid: !isSecret };
}

function accept(payload: JWTPayload, latestIssueMs: number): TokenVerdict {
  const { sub, exp, iat, jti, tenant = "" } = payload;
  if (typeof sub !== "string" || !isUserId(sub))
    return invalid("the token's sub is no user id: 1-64 of letters, digits and _.:@-");
  if (typeof tenant !== "string" || !TENANT.test(tenant))
    return invalid("the token's tenant is no name of one: up to 32 of a-z, 0-9 and -, not beginning with -");
  const issuedAtMs = iat === undefined ? 0 : iat * 1000;
  if (!Number.isFinite(issuedAtMs) || issuedAtMs < 0 || issuedAtMs > latestIssueMs)
    return invalid("the token's iat is in the future: check the clock of the issuer");
  const tokenId: unknown = jti ?? "";
  if (
    typeof tokenId !== "string" ||
    tokenId.length > MAX_TOKEN_ID_CHARS ||
    ["\0", TENANT_MARK].some((mark) => tokenId.includes(mark))
  )
    return invalid(
      `the token's jti is no text of at most ${MAX_TOKEN_ID_CHARS} characters, none of them U+0000 or U+0001`,
    );
  const names = { userId: internalId(tenant, sub), tokenId: tokenId && internalTokenId(tenant, tokenId) };
  return { kind: "ok", ...names, issuedAtMs, expiresAtMs: Number(exp) * 1000 };
}

function headerProblem(token: string, { algorithms, needsKid }: VerificationKeys): string | undefined {
  const parts = token.split(".");
  if (parts.length !== 3) return "the token is not a signed JWT of three parts";
  let header: unknown;
  try {
    header = JSON.parse(Buffer.from(parts[0] ?? "", "base64url").toString("utf8"));
  } catch {
    // Not JSON: the message below is all the caller can use.
    return "the token's header is not JSON";
  }
  if (header === null || typeof header !== "object" || Array.isArray(header)) return "the token's header is no object";
  const fields = new Map(Object.entries(header));
  if (!(algorithms as readonly unknown[]).includes(fields.get("alg")))
    return `the token's alg must be one of ${algorithms.join(", ")}`;
  const kid: unknown = fields.get("kid");
  if (needsKid && (typeof kid !== "string" || kid === "" || kid.length > 128)) return "the token's header needs a kid";
  const forbidden = FORBIDDEN_HEADERS.find((name) => fields.has(name));
  return forbidden === undefined ? undefined : `the token's header may not have ${forbidden}`;
}

function denial(thrown: unknown): TokenVerdict {
  if (thrown instanceof errors.JWTExpired)
    return {
      kind: "denied",
      code: DisconnectCode.TOKEN_EXPIRED,
      reason: "the token has expired: log in with a fresh one",
    };
  if (thrown instanceof errors.JWTClaimValidationFailed) return invalid(`the token's ${thrown.claim} is not accepted`);
  if (thrown instanceof errors.JWKSNoMatchingKey || thrown instanceof errors.JWKSMultipleMatchingKeys)
    return invalid("the token's kid names no key of this cluster");
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return invalid("the token's signature is wrong");
  return invalid("the token could not be read");
}

function invalid(reason: string): TokenVerdict {
  return { kind: "denied", code: DisconnectCode.TOKEN_INVALID, reason };
}
