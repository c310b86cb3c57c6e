// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { RevocationPage, TokenFacts } from "../store/identity.ts";
import type { Store } from "../store/store.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import { TOKEN_LEEWAY_MS } from "../token/verify.ts";
import { disconnectBody, type Session } from "./session.ts";

const POLL_MS = 1000;
const PAGE = 500;
/** Every so many polls: sessions whose token ran out, and old rows of the store. */
const POLLS_PER_SWEEP = 3;
const POLLS_PER_PRUNE = 3600;
/** A revoked token is kept this much longer than it lives. */
const PRUNE_AFTER_MS = 86_400_000;
const MAX_BATCH = 1000;
/** The sessions of a full entry at once, several times over. */
const MAX_WAITING = 100_000;

/** What {@link SessionGuard} needs. */
export interface GuardPorts {
  store: Pick<Store, "revocationVersion" | "revocationsAfter" | "findRevoked" | "pruneRevokedTokens">;
  /** Every session bound here, now. */
  sessions: () => Iterable<Session>;
  clock: Clock;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
  onKick: (code: DisconnectCode) => void;
}

/**
 * Closes sessions whose token was revoked or ran out. Revocations are read by version once a second, from PostgreSQL;
 * a login is checked there in its own transaction, a session that came from another logic (BIND) or changed its token
 * (REAUTH) by one query per tick. So a revocation is in force within 2 s wherever the session is.
 */
export class SessionGuard {
  readonly #ports: GuardPorts;
  readonly #checks: TickBatch<Session>;
  /** Revocations up to here were applied; undefined: not known, everything has to be checked. */
  #version: number | undefined;
  #mustCheckAll = false;
  #polls = 0;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(ports: GuardPorts) {
    this.#ports = ports;
    this.#checks = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#check(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
    });
  }

  /** Reads where the revocations stand and polls from then on. */
  async start(): Promise<void> {
    await this.poll();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Where the revocations stand: taken before a token is checked, given to {@link opened} after. */
  get mark(): number | undefined {
    return this.#version;
  }

  /** The session's token was good at `mark`; checks it again if revocations came since. */
  opened(session: Session, mark: number | undefined): void {
    if (mark === undefined || mark !== this.#version) this.check(session);
  }

  /** Nobody here has checked the session's token. */
  check(session: Session): void {
    if (!this.#checks.add(session)) this.#mustCheckAll = true;
  }

  /** One round: what was revoked since the last one; now and then what ran out. */
  async poll(): Promise<void> {
    this.#cancel?.();
    try {
      await this.#readRevocations();
      if (this.#polls % POLLS_PER_PRUNE === POLLS_PER_PRUNE - 1)
        await this.#ports.store.pruneRevokedTokens(this.#ports.clock.wallMs() - PRUNE_AFTER_MS);
    } catch (error) {
      this.#ports.onFault("revocations", error);
    }
    if (this.#polls++ % POLLS_PER_SWEEP === 0) this.#closeExpired();
    if (!this.#isStopped) this.#cancel = this.#ports.clock.after(POLL_MS, () => void this.poll());
  }

  async #readRevocations(): Promise<void> {
    const { store } = this.#ports;
    if (this.#version === undefined) {
      this.#mustCheckAll = true;
      this.#version = await store.revocationVersion();
    }
    for (let page = await this.#nextPage(); page; page = await this.#nextPage()) this.#apply(page);
    if (!this.#mustCheckAll) return;
    this.#mustCheckAll = false;
    for (const session of this.#ports.sessions()) this.check(session);
  }

  async #nextPage(): Promise<RevocationPage | undefined> {
    const from = this.#version ?? 0;
    const page = await this.#ports.store.revocationsAfter(from, PAGE);
    if (page.version === from) return undefined;
    this.#version = page.version;
    return page;
  }

  #apply({ users, tokenIds }: RevocationPage): void {
    const validAfterMs = new Map(users.map((user) => [user.userId, user.validAfterMs]));
    const revoked = new Set(tokenIds);
    for (const session of this.#ports.sessions()) {
      const { tokenId, issuedAtMs } = session.token;
      if ((validAfterMs.get(session.userId) ?? 0) > issuedAtMs || revoked.has(tokenId)) this.#closeRevoked(session);
    }
  }

  async #check(batch: readonly Session[]): Promise<void> {
    try {
      const revoked = await this.#ports.store.findRevoked(batch.map(factsOf));
      for (const at of revoked) {
        const session = batch[at];
        if (session) this.#closeRevoked(session);
      }
    } catch (error) {
      this.#mustCheckAll = true;
      this.#ports.onFault("token check", error);
    }
  }

  #closeRevoked(session: Session): void {
    this.#close(session, DisconnectCode.TOKEN_REVOKED, "the token was revoked: sign in again");
  }

  #closeExpired(): void {
    const latestMs = this.#ports.clock.wallMs() - TOKEN_LEEWAY_MS;
    for (const session of this.#ports.sessions()) {
      const { expiresAtMs } = session.token;
      if (expiresAtMs > 0 && expiresAtMs <= latestMs)
        this.#close(session, DisconnectCode.TOKEN_EXPIRED, "the token has run out: log in with a fresh one");
    }
  }

  #close({ entry, conn }: Session, code: DisconnectCode, reason: string): void {
    entry.send({ kind: RecordKind.KICK, conn, body: disconnectBody(code, reason) });
    this.#ports.onKick(code);
  }
}

/** What of a session a revocation may hit. */
function factsOf({ userId, token: { tokenId, issuedAtMs } }: Session): TokenFacts {
  return { userId, tokenId, issuedAtMs };
}
