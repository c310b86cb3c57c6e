// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "#lib/clock.ts";
import { ImError } from "#lib/errors.ts";
import { Gathered } from "../gathered.ts";
import { bigintArray, parseNumbers, textArray } from "./binary-array.ts";
import { type LoginInput, type LoginRecord, slotName } from "./identity.ts";
import { LOGIN } from "./identity-statements.ts";
import type { PostgresPool } from "./postgres-pool.ts";
import { text } from "./rows.ts";

/** Some 3 ms of PostgreSQL's time, and as much of ours: whoever sends a message does not wait for longer. */
const MAX_BATCH = 64;
/** Logins that come in numbers wait so long for each other: alone each costs PostgreSQL, Redis and us several times as much. */
const SPACING_MS = 10;
const MAX_WAITING = 10_000;
/** Column of LOGIN. */
const EPOCH = 8;
/** Issued after everything: what a login without token facts counts as. */
const NEVER_REVOKED = { tokenId: "", issuedAtMs: Number.MAX_SAFE_INTEGER };

/** Logins of one statement: one per user, in the order of their ids, all under the same rules. */
export type LoginRound = readonly { readonly login: LoginInput; readonly at: number }[];

/**
 * Logins of one tick, or of the time a batch takes, in one transaction: a storm of them costs a tenth of what each alone does.
 * A second login of the same user is in the next one. What is wrong with one login fails that one only.
 */
export class PostgresLogins {
  readonly #pool: Pick<PostgresPool, "run">;
  readonly #gathered: Gathered<LoginInput, LoginRecord | ImError>;

  constructor(pool: Pick<PostgresPool, "run">, clock: Clock = systemClock) {
    this.#pool = pool;
    this.#gathered = new Gathered({
      defer: setImmediate,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
      spacing: { clock, ms: SPACING_MS },
    });
  }

  /** See IdentityStore.login. */
  async login(login: LoginInput): Promise<LoginRecord> {
    const record = await this.#gathered.call(login);
    if (record instanceof ImError) throw record;
    return record;
  }

  async #run(batch: readonly LoginInput[]): Promise<(LoginRecord | ImError)[]> {
    const records: (LoginRecord | ImError)[] = [];
    for (const round of roundsOf(batch)) await this.#runRound(round, records);
    return records;
  }

  async #runRound(round: LoginRound, records: (LoginRecord | ImError)[]): Promise<void> {
    try {
      await this.#ask(round, records);
    } catch (error) {
      if (!(error instanceof ImError)) throw error;
      // The database is away, or it does not like one of them: the others shall not suffer for it.
      if (error.retryable || round.length === 1) for (const { at } of round) records[at] = error;
      else for (const one of round) await this.#runRound([one], records);
    }
  }

  async #ask(round: LoginRound, records: (LoginRecord | ImError)[]): Promise<void> {
    const logins = round.map(({ login }) => login);
    const tokens = logins.map(({ token = NEVER_REVOKED }) => token);
    const [rules] = logins;
    const [row = []] = await this.#pool.run(LOGIN, [
      textArray(logins.map(({ userId }) => userId)),
      textArray(logins.map(({ slot }) => slot)),
      textArray(logins.map(({ deviceId }) => deviceId)),
      textArray(logins.map(({ platform }) => platform)),
      textArray(logins.map(({ deviceName }) => deviceName)),
      textArray(logins.map(({ appVersion }) => appVersion)),
      textArray(tokens.map(({ tokenId }) => tokenId)),
      bigintArray(tokens.map(({ issuedAtMs }) => issuedAtMs)),
      ...[rules?.sessionsPerSlot ?? 1, rules?.atMs ?? 0, rules?.loginsPerMinute ?? 0],
    ]);
    const [revoked, flapping, retries, loggedIn, slots, seqs, acked, inbox] = row.slice(0, EPOCH).map(parseNumbers);
    const epoch = text(row, EPOCH);
    const put = (position: number, record: LoginRecord): void => {
      const at = round[position - 1]?.at;
      if (at !== undefined) records[at] = record;
    };
    for (const position of revoked ?? []) put(position, { kind: "revoked" });
    flapping?.forEach((position, n) => void put(position, { kind: "flapping", retryAfterMs: retries?.[n] ?? 0 }));
    loggedIn?.forEach((position, n) => {
      put(position, {
        kind: "ok",
        slot: slotName(logins[position - 1]?.slot ?? "", slots?.[n] ?? 0),
        loginSeq: seqs?.[n] ?? 0,
        ackedSeq: acked?.[n] ?? 0,
        inboxHead: inbox?.[n] ?? 0,
        epoch,
      });
    });
  }
}

/** A batch as statements may take it, in its order where that matters: the logins of one user. */
export function roundsOf(batch: readonly LoginInput[]): LoginRound[] {
  const rounds: { rules: string; logins: { login: LoginInput; at: number }[] }[] = [];
  /** Of each user: the round of the last login. */
  const latest = new Map<string, number>();
  batch.forEach((login, at) => {
    const rules = `${login.sessionsPerSlot};${login.atMs};${login.loginsPerMinute}`;
    let n = (latest.get(login.userId) ?? -1) + 1;
    while (n < rounds.length && rounds[n]?.rules !== rules) n++;
    latest.set(login.userId, n);
    const round = rounds[n] ?? { rules, logins: [] };
    rounds[n] = round;
    round.logins.push({ login, at });
  });
  for (const { logins } of rounds) logins.sort((a, b) => compare(a.login.userId, b.login.userId));
  return rounds.map(({ logins }) => logins);
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
