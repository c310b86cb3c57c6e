// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { Backoff } from "#lib/backoff.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { isConflict, isConnectionLost, isConnectionUsable, toStoreError } from "./postgres-errors.ts";
import { RawRows, TappedClient } from "./row-tap.ts";

const STATEMENT_TIMEOUT_MS = 5000;
/** We give up so much later than the server, when it does not even say that it did (a black hole). */
const QUERY_TIMEOUT_EXTRA_MS = 1000;
const CONFLICT_RETRIES = 3;
const CONFLICT_BACKOFF = { baseMs: 10, capMs: 100 };
/** Clients may claim what they like: no more often than this do we make a new connection to be sure. */
const ANEW_PAUSE_MS = 1000;
/** The connection for doubts ends when nobody has any. */
const ANEW_IDLE_MS = 10_000;

/**
 * Per connection: every query is a lookup by key, so no plan may scan a table, not even one cached while the table was
 * tiny; the JIT costs more than it saves; an abandoned transaction must not hold locks. For the same reason one plan is as good
 * for all values: to plan with them, as the server does five times for each statement and connection, and always where a value
 * is an array, takes longer than most statements run, the more the more partitions there are.
 */
const SESSION_SETTINGS = `SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
  SET plan_cache_mode = force_generic_plan;
  SET idle_in_transaction_session_timeout = ${STATEMENT_TIMEOUT_MS}`;

/** A named prepared statement whose rows are arrays of raw text (null for NULL). */
export interface Statement {
  name: string;
  text: string;
}
export type Row = readonly (string | null)[];
/** A Buffer goes in binary format, everything else as text. */
export type Value = string | number | Buffer | null;

/** Told about every query: its name, how long it took with waiting and retries, and its error, if any. */
export type QueryObserver = (name: string, durationMs: number, error: ImError | undefined) => void;

/** Options of {@link PostgresPool}. */
export interface PoolOptions {
  url: string;
  /** application_name, shown by pg_stat_activity. */
  name: string;
  connections: number;
  /** Callers that may wait for a connection; one more is refused with BUSY. */
  maxWaiting: number;
  /** How long one may wait for a connection, ms. */
  waitTimeoutMs: number;
  /** The server gives up a statement, locks included, after so many ms. Default 5000. */
  statementTimeoutMs?: number;
  /** A connection that was idle for so long ends. Default 0: never. */
  idleTimeoutMs?: number;
  observe?: QueryObserver | undefined;
  /** A connection broke while idle; the pool replaces it by itself. */
  onIdleError?: ((error: Error) => void) | undefined;
  /** A connection broke, or did not answer, while it was in use: the first of those that were open at that time. */
  onLost?: (() => void) | undefined;
}

const RAW_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

/** The pool waits for the promise, whatever its type declarations say. */
async function configureSession(client: pg.ClientBase): Promise<void> {
  await client.query(SESSION_SETTINGS);
}

/** Asks for rows in binary format, as the server sends them. */
export type AskRaw = (statement: Statement, values: readonly Value[]) => Promise<RawRows>;

async function askRaw(
  client: pg.PoolClient & TappedClient,
  statement: Statement,
  values: readonly Value[],
): Promise<RawRows> {
  const rows = new RawRows();
  client.tap.rows = rows;
  try {
    await client.query({ ...statement, values: values as Value[], binary: true } as pg.QueryConfig);
  } finally {
    client.tap.rows = undefined;
  }
  return rows;
}

/** A bounded pool that runs one statement at a time per connection, with a deadline, and maps every error. */
export class PostgresPool {
  readonly #options: PoolOptions;
  readonly #pool: pg.Pool;
  readonly #maxWaiting: number;
  readonly #observe: QueryObserver;
  readonly #onLost: () => void;
  /** Of each connection: how often the pool was renewed before it was made. */
  readonly #generations = new WeakMap<pg.ClientBase, number>();
  #generation = 0;
  #renewedMs = Number.NEGATIVE_INFINITY;
  /** Of one connection, that is no older than a second when it is asked. */
  #anew: PostgresPool | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#maxWaiting = options.maxWaiting;
    this.#observe = options.observe ?? (() => undefined);
    this.#onLost = options.onLost ?? (() => undefined);
    const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
    // Before it connects: it may be on its way to the old server when the pool is renewed.
    const onMade = (client: pg.ClientBase): void => void this.#generations.set(client, this.#generation);
    this.#pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.name,
      max: options.connections,
      connectionTimeoutMillis: options.waitTimeoutMs,
      idleTimeoutMillis: options.idleTimeoutMs ?? 0,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + QUERY_TIMEOUT_EXTRA_MS,
      keepAlive: true,
      onConnect: configureSession as (client: pg.ClientBase) => void,
      Client: class extends TappedClient {
        constructor(config?: string | pg.ClientConfig) {
          super(config);
          onMade(this);
        }
      },
    });
    this.#pool.on("error", (error) => options.onIdleError?.(error));
  }

  /** Connections by state, for gauges. */
  get state(): { total: number; idle: number; waiting: number } {
    return { total: this.#pool.totalCount, idle: this.#pool.idleCount, waiting: this.#pool.waitingCount };
  }

  /**
   * What is open now is not used again: it may lead to a server whose place another one has taken, and which goes on
   * answering those who ask it.
   */
  renew(): void {
    this.#generation++;
    this.#renewedMs = performance.now();
  }

  /** {@link renew}, unless it was done since `askedMs` (performance.now). */
  renewSince(askedMs: number): void {
    if (askedMs > this.#renewedMs) this.renew();
  }

  /**
   * {@link readRaw} on a connection of now, beside those of the pool: for an answer that one of them gave and that cannot
   * be. There is one for all who doubt, made anew once in a second: the others serve on whatever is claimed.
   */
  readAnew<T>(name: string, use: (ask: AskRaw) => Promise<T>): Promise<T> {
    return this.#poolAnew().readRaw(name, use);
  }

  /** {@link run}, as {@link readAnew} does it. */
  runAnew(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return this.#poolAnew().run(statement, values);
  }

  #poolAnew(): PostgresPool {
    const { url, maxWaiting, waitTimeoutMs, statementTimeoutMs, observe, onIdleError } = this.#options;
    this.#anew ??= new PostgresPool({
      ...{ url, maxWaiting, waitTimeoutMs, observe, onIdleError },
      ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
      name: `${this.#options.name}-anew`,
      connections: 1,
      idleTimeoutMs: ANEW_IDLE_MS,
    });
    this.#anew.renewSince(performance.now() - ANEW_PAUSE_MS);
    return this.#anew;
  }

  /**
   * Runs one statement as its own transaction. Resolves after COMMIT: the driver answers at ReadyForQuery, which the
   * server sends when the transaction has ended. Repeats it up to 3 times when the server undid it for another one.
   * @throws {ImError} see {@link toStoreError}; BUSY when too many wait for a connection
   */
  run(statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return this.#observed(statement.name, async (client) => {
      const config = { ...statement, values: values as Value[], rowMode: "array" as const, types: RAW_TEXT };
      return (await client.query<(string | null)[]>(config)).rows;
    });
  }

  /**
   * Several questions to one server: they share a connection, so that none is answered by a server that knows less than
   * the one before it did. Runs `use` again when the server undid one for another's sake.
   * @param name of all of them together, for the observer
   */
  readRaw<T>(name: string, use: (ask: AskRaw) => Promise<T>): Promise<T> {
    return this.#observed(name, (client) =>
      use((statement, values) => askRaw(client as pg.PoolClient & TappedClient, statement, values)),
    );
  }

  async #observed<T>(name: string, query: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      const result = await this.#runWithRetries(name, query);
      this.#observe(name, performance.now() - startedMs, undefined);
      return result;
    } catch (thrown) {
      const error = toStoreError(thrown, name);
      this.#observe(name, performance.now() - startedMs, error);
      throw error;
    }
  }

  async #runWithRetries<T>(name: string, query: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const backoff = new Backoff(CONFLICT_BACKOFF);
    for (let retry = 0; ; retry++) {
      try {
        return await this.#runOnce(name, query);
      } catch (error) {
        if (!isConflict(error) || retry === CONFLICT_RETRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, backoff.next()));
      }
    }
  }

  async #runOnce<T>(name: string, query: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    if (this.#pool.waitingCount >= this.#maxWaiting) {
      throw new ImError(ErrorCode.BUSY, `store ${name}: ${this.#maxWaiting} callers wait for a connection`);
    }
    const client = await this.#connect();
    // While it is ours, a broken connection also fails our query; without a listener it would end the process.
    const ignore = (): void => undefined;
    client.on("error", ignore);
    let failure: unknown;
    try {
      return await query(client);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      client.off("error", ignore);
      if (failure !== undefined && isConnectionLost(failure) && this.#isCurrent(client)) this.#onLost();
      client.release(failure !== undefined && !isConnectionUsable(failure));
    }
  }

  /** A connection that was made since the last renewal; those from before end here. */
  async #connect(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await this.#pool.connect();
      if (this.#isCurrent(client)) return client;
      client.release(true);
    }
  }

  #isCurrent(client: pg.ClientBase): boolean {
    return this.#generations.get(client) === this.#generation;
  }

  /** Ends idle connections at once and busy ones when they finish. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.end(), this.#anew?.close()]);
  }
}
