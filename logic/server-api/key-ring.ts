// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { TokenBucket } from "#lib/token-bucket.ts";
import type { ServerApiStore, StoredApiKey } from "../store/server-api-store.ts";
import { isGood, isLive, parseKey } from "./api-key.ts";
import type { ClientCertificate } from "./client-certificate.ts";
import type { FileKeys } from "./key-file.ts";

/** With what a call takes after it was let in, well below the 5 s in which a revocation must work everywhere. */
const MAX_AGE_MS = 3000;
const MAX_KNOWN = 10_000;
/** Ids that nobody knows cost a question each; whoever makes them up shall not take the database from the others. */
const LOOKUPS = { perSecond: 50, burst: 200 };

const BEARER = /^Bearer +([!-~]{1,200})$/i;

/** What {@link KeyRing} needs. */
export interface KeyRingPorts {
  store: Pick<ServerApiStore, "findKey">;
  /** Those of the deployment, as they are now. What the store says of the same id counts more. */
  fileKeys: () => FileKeys;
  clock: Clock;
}

export type KeyVerdict =
  | { readonly kind: "ok"; readonly key: StoredApiKey }
  /** One for all: no key, none of ours, another secret, over, revoked; `by`: there was a certificate and no key. */
  | { readonly kind: "refused"; readonly by?: "certificate" }
  | { readonly kind: "busy"; readonly retryAfterMs: number };

interface Known {
  readonly key: Promise<StoredApiKey | undefined>;
  /** When the question was asked. */
  readonly askedMs: number;
}

/** Tells whose key a request has. Remembers what the store said for 3 s: so long, and no longer, a revoked key may work. */
export class KeyRing {
  readonly #ports: KeyRingPorts;
  readonly #known = new Map<string, Known>();
  readonly #lookups: TokenBucket;
  #bound: { readonly keys: FileKeys; readonly ids: ReadonlyMap<string, string> } | undefined;

  constructor(ports: KeyRingPorts) {
    this.#ports = ports;
    this.#lookups = new TokenBucket(LOOKUPS.perSecond, LOOKUPS.burst, ports.clock);
  }

  /**
   * @param authorization the header; where there is one, it counts
   * @param certificate what the caller has shown
   * @throws {ImError} RETRYABLE when the store is away and the key is not remembered
   */
  async check(authorization: string | undefined, certificate?: ClientCertificate): Promise<KeyVerdict> {
    if (authorization === undefined && certificate) return await this.#checkCertificate(certificate);
    const parts = parseKey(BEARER.exec(authorization ?? "")?.[1] ?? "");
    if (!parts) return { kind: "refused" };
    const asked = this.#find(parts.keyId);
    if (!asked) return { kind: "busy", retryAfterMs: this.#lookups.retryAfterMs() };
    const key = await asked;
    return isGood(key, parts.secret, this.#ports.clock.wallMs()) ? { kind: "ok", key } : { kind: "refused" };
  }

  async #checkCertificate({ bindings, expiresMs }: ClientCertificate): Promise<KeyVerdict> {
    const { clock, fileKeys } = this.#ports;
    const keyId = this.#keyIdOf(fileKeys(), bindings);
    const key = keyId === undefined ? undefined : await this.#find(keyId);
    const isGood = key !== undefined && expiresMs > clock.wallMs() && isLive(key, clock.wallMs());
    return isGood ? { kind: "ok", key } : { kind: "refused", by: "certificate" };
  }

  /** Its digest says more than its names; names of several keys say nothing. */
  #keyIdOf(keys: FileKeys, [digest = "", ...names]: readonly string[]): string | undefined {
    if (this.#bound?.keys !== keys) {
      const all = [...keys.values()].flatMap(({ keyId, certificates }) =>
        certificates.map((one) => [one, keyId] as const),
      );
      this.#bound = { keys, ids: new Map(all) };
    }
    const { ids } = this.#bound;
    const found = new Set(names.flatMap((name) => ids.get(name) ?? []));
    return ids.get(digest) ?? (found.size === 1 ? [...found][0] : undefined);
  }

  /** Undefined: too many ids were asked for that are not remembered. */
  #find(keyId: string): Promise<StoredApiKey | undefined> | undefined {
    const { clock, store, fileKeys } = this.#ports;
    const nowMs = clock.nowMs();
    const known = this.#known.get(keyId);
    if (known && nowMs - known.askedMs < MAX_AGE_MS) return known.key;
    // A key that was good costs others nothing.
    if (!fileKeys().has(keyId) && !known && !this.#lookups.take()) return undefined;
    const asked: Known = { askedMs: nowMs, key: store.findKey(keyId).then((key) => key ?? fileKeys().get(keyId)) };
    this.#remember(keyId, asked);
    asked.key.catch(() => {
      // Whoever waits for it is told; the next one asks again.
      if (this.#known.get(keyId) === asked) this.#known.delete(keyId);
    });
    return asked.key;
  }

  #remember(keyId: string, asked: Known): void {
    this.#known.delete(keyId);
    const oldest = this.#known.keys().next();
    if (this.#known.size >= MAX_KNOWN && !oldest.done) this.#known.delete(oldest.value);
    this.#known.set(keyId, asked);
  }
}
