// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { objectKey } from "../kube/owner.ts";
import { SECRETS, type Secret } from "../kube/types.ts";
import type { Secrets } from "./secrets.ts";

/** A changed Secret is noticed after this at the latest. */
const FOUND_TTL_MS = 30_000;
/** A Secret that was not there is asked for again after this. */
const ABSENT_TTL_MS = 2_000;
/** One that nobody asks for any more is forgotten after this: its cluster is gone. */
const UNUSED_MS = 300_000;

interface Cached {
  secret: Secret | undefined;
  readMs: number;
}

/** Reads Secrets one by one by name, because the operator may neither list nor watch them; remembers them for a while. */
export class SecretReader {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #cached = new Map<string, Cached>();
  #sweptMs: number;

  constructor(client: KubeClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
    this.#sweptMs = clock.nowMs();
  }

  /** Secrets and absences that are remembered. */
  get size(): number {
    return this.#cached.size;
  }

  /** Those of the names that exist. @throws KubeError when one cannot be read */
  async read(namespace: string, names: readonly string[]): Promise<Secrets> {
    const secrets = await Promise.all(names.map((name) => this.#readOne(namespace, name)));
    return new Map(secrets.flatMap((secret) => (secret ? [[secret.metadata.name, secret] as const] : [])));
  }

  wrote(secret: Secret): void {
    this.#cached.set(keyOf(secret), { secret, readMs: this.#clock.nowMs() });
  }

  /** The next read asks the server. */
  forget(namespace: string, name: string): void {
    this.#cached.delete(objectKey(namespace, name));
  }

  async #readOne(namespace: string, name: string): Promise<Secret | undefined> {
    const key = objectKey(namespace, name);
    const cached = this.#cached.get(key);
    const nowMs = this.#clock.nowMs();
    if (cached && nowMs - cached.readMs < (cached.secret ? FOUND_TTL_MS : ABSENT_TTL_MS)) return cached.secret;
    const read = await this.#client.get(SECRETS, namespace, name);
    // The same object while it is the same Secret: what was found out about it stays known.
    const secret = cached?.secret && read && isSame(cached.secret, read) ? cached.secret : read;
    this.#cached.set(key, { secret, readMs: nowMs });
    this.#sweep(nowMs);
    return secret;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < UNUSED_MS) return;
    this.#sweptMs = nowMs;
    for (const [key, { readMs }] of this.#cached) if (nowMs - readMs >= UNUSED_MS) this.#cached.delete(key);
  }
}

function keyOf({ metadata }: Secret): string {
  return objectKey(metadata.namespace, metadata.name);
}

function isSame(a: Secret, b: Secret): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
