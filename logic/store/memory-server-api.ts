// SPDX-License-Identifier: Apache-2.0
import type {
  ApiAnswer,
  ApiAudit,
  ApiRequestHold,
  ApiRequestStart,
  ApiRequestState,
  NewApiAudit,
  NewApiKey,
  ServerApiStore,
  StoredApiKey,
} from "./server-api-store.ts";

interface Held {
  digest: Buffer;
  lease: number;
  expiresMs: number;
  answer: ApiAnswer | undefined;
}

/** {@link ServerApiStore} in maps: the reference model of PostgreSQL's, and for tests. */
export class MemoryServerApi implements ServerApiStore {
  readonly #wallMs: () => number;
  readonly #keys = new Map<string, StoredApiKey>();
  readonly #requests = new Map<string, Held>();
  #audits: ApiAudit[] = [];
  #auditId = 0;

  /** @param wallMs the store's time */
  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  async findKey(keyId: string): Promise<StoredApiKey | undefined> {
    return this.#keys.get(keyId);
  }

  async addKey(key: NewApiKey): Promise<boolean> {
    if (this.#keys.has(key.keyId)) return false;
    this.#keys.set(key.keyId, { ...key, createdMs: this.#wallMs(), revokedMs: 0 });
    return true;
  }

  async listKeys(tenant: string, { after, limit }: { after: string; limit: number }): Promise<StoredApiKey[]> {
    const own = [...this.#keys.values()].filter((key) => key.tenant === tenant && key.keyId > after);
    return own.sort((a, b) => (a.keyId < b.keyId ? -1 : 1)).slice(0, limit);
  }

  async revokeKey(keyId: string): Promise<void> {
    const nowMs = this.#wallMs();
    const unknown = { keyId, secretHash: new Uint8Array(), tenant: "", name: "", scopes: [], expiresMs: 0 };
    const known = this.#keys.get(keyId) ?? { ...unknown, createdMs: nowMs, revokedMs: 0 };
    this.#keys.set(keyId, { ...known, revokedMs: known.revokedMs || nowMs });
  }

  async beginRequest({ digest, leaseMs, keepMs, ...request }: ApiRequestStart): Promise<ApiRequestState> {
    const nowMs = this.#wallMs();
    const held = this.#requests.get(nameOf(request));
    if (held && held.expiresMs > nowMs) {
      if (!held.digest.equals(digest)) return { kind: "conflict" };
      if (held.answer) return { kind: "done", answer: held.answer };
      if (held.lease > nowMs) return { kind: "running", leftMs: held.lease - nowMs };
    }
    const lease = Math.max(nowMs + leaseMs, (held?.lease ?? 0) + 1);
    const expiresMs = nowMs + keepMs;
    this.#requests.set(nameOf(request), { digest: Buffer.from(digest), lease, expiresMs, answer: undefined });
    return { kind: "begun", lease };
  }

  async finishRequest(request: ApiRequestHold, answer: ApiAnswer): Promise<boolean> {
    const held = this.#requests.get(nameOf(request));
    if (!held || held.lease !== request.lease || held.answer) return false;
    held.answer = answer;
    return true;
  }

  async releaseRequest(request: ApiRequestHold): Promise<void> {
    const held = this.#requests.get(nameOf(request));
    if (held && held.lease === request.lease && !held.answer) this.#requests.delete(nameOf(request));
  }

  async appendAudit(rows: readonly NewApiAudit[]): Promise<void> {
    const atMs = this.#wallMs();
    for (const row of rows) this.#audits.push({ ...row, auditId: ++this.#auditId, atMs });
  }

  async readAudit(tenant: string, { before, limit }: { before: number; limit: number }): Promise<ApiAudit[]> {
    const own = this.#audits.filter((row) => row.tenant === tenant && (before === 0 || row.auditId < before));
    return own.reverse().slice(0, limit);
  }

  async prune(auditKeepMs: number): Promise<number> {
    const nowMs = this.#wallMs();
    const before = this.#requests.size + this.#audits.length;
    for (const [name, { expiresMs }] of this.#requests) if (expiresMs <= nowMs) this.#requests.delete(name);
    this.#audits = this.#audits.filter(({ atMs }) => atMs > nowMs - auditKeepMs);
    return before - this.#requests.size - this.#audits.length;
  }
}

function nameOf({ tenant, idempotencyKey }: { tenant: string; idempotencyKey: string }): string {
  return `${tenant}\0${idempotencyKey}`;
}
