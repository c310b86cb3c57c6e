// SPDX-License-Identifier: Apache-2.0

/**
 * What the server API keeps: keys, requests under way with their answers, and who did what. Every method throws only
 * {@link ImError}, as {@link Store} does. All times are the store's, ms since 1970: logics share what is here, and their
 * own clocks may differ by hours.
 */
export interface ServerApiStore {
  /** Undefined: nobody made or revoked such a key here. */
  findKey(keyId: string): Promise<StoredApiKey | undefined>;
  /** False: there is one with this id. */
  addKey(key: NewApiKey): Promise<boolean>;
  /** Keys of the tenant by id, after `after`, at most `limit`. */
  listKeys(tenant: string, page: { after: string; limit: number }): Promise<StoredApiKey[]>;
  /** From now on no key of this id is good, wherever else it may be known. May be repeated; keeps the first time. */
  revokeKey(keyId: string): Promise<void>;

  /** Begins a request under its idempotency key, or says what became of the one that has it. */
  beginRequest(request: ApiRequestStart): Promise<ApiRequestState>;
  /** Keeps the answer for those who repeat the request. False: it took longer than its lease, and somebody else has begun it. */
  finishRequest(request: ApiRequestHold, answer: ApiAnswer): Promise<boolean>;
  /** Nothing was done, or nobody knows: the next one may begin it at once. */
  releaseRequest(request: ApiRequestHold): Promise<void>;

  /** Appends to the audit log; there is no way to change it. */
  appendAudit(rows: readonly NewApiAudit[]): Promise<void>;
  /** The tenant's log, newest first, before `before` (0 = from the newest). */
  readAudit(tenant: string, page: { before: number; limit: number }): Promise<ApiAudit[]>;

  /** Forgets some answers whose time is over, and some of the log that is older than `auditKeepMs`. Returns how many. */
  prune(auditKeepMs: number): Promise<number>;
}

/** The audit log refuses to forget what is younger. */
export const MIN_AUDIT_KEEP_MS = 90 * 86_400_000;
/** Rows of each kind that one {@link ServerApiStore.prune} forgets at most. */
export const PRUNE_ROWS = 1000;

export interface NewApiKey {
  readonly keyId: string;
  /** SHA-256 of the secret, 32 bytes. */
  readonly secretHash: Uint8Array;
  /** "" = the default one. */
  readonly tenant: string;
  /** For people. */
  readonly name: string;
  readonly scopes: readonly string[];
  /** 0 = never. */
  readonly expiresMs: number;
}

/** `secretHash` is empty for one that was revoked without having been made here. */
export interface StoredApiKey extends NewApiKey {
  readonly createdMs: number;
  /** 0 = it is not revoked. */
  readonly revokedMs: number;
}

export interface ApiRequestStart {
  readonly tenant: string;
  readonly idempotencyKey: string;
  /** SHA-256 of what makes two requests the same. */
  readonly digest: Uint8Array;
  /** How long nobody else may work on it. */
  readonly leaseMs: number;
  /** How long it is remembered. */
  readonly keepMs: number;
}

export interface ApiRequestHold {
  readonly tenant: string;
  readonly idempotencyKey: string;
  readonly lease: number;
}

export interface ApiAnswer {
  readonly status: number;
  /** JSON, "" = none. */
  readonly body: string;
}

export type ApiRequestState =
  | { readonly kind: "begun"; readonly lease: number }
  /** Somebody works on it, for so long at most. */
  | { readonly kind: "running"; readonly leftMs: number }
  | { readonly kind: "done"; readonly answer: ApiAnswer }
  /** The key belongs to a request with another digest. */
  | { readonly kind: "conflict" };

export interface NewApiAudit {
  readonly tenant: string;
  readonly keyId: string;
  readonly operation: string;
  /** Whom or what it was about. */
  readonly target: string;
  /** Of the answer. */
  readonly status: number;
}

export interface ApiAudit extends NewApiAudit {
  /** Grows; not gapless. */
  readonly auditId: number;
  readonly atMs: number;
}
