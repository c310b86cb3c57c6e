// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Metrics } from "#lib/metrics.ts";
import type {
  Generation,
  Inspection,
  PurgeCount,
  Renewal,
  RenewalRequest,
  Route,
  Router,
  RouterLogin,
  SessionKey,
} from "./router.ts";

const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5];

/** Hears of every call. */
export type RouterObserver = (op: string, result: "ok" | "failed", durationMs: number) => void;

/** Registers how long calls of the router take, and tells it. */
export function observeRouter(metrics: Metrics): RouterObserver {
  const help = "One call of the router, by result.";
  const seconds = metrics.histogram("im_router_operation_duration_seconds", help, ["op", "result"], BUCKETS);
  return (op, result, durationMs) => seconds.observe({ op, result }, durationMs / 1000);
}

/** A router whose calls are timed. */
export class TimedRouter implements Router {
  readonly #router: Router;
  readonly #clock: Pick<Clock, "nowMs">;
  readonly #observe: RouterObserver;

  constructor(router: Router, clock: Pick<Clock, "nowMs">, observe: RouterObserver) {
    this.#router = router;
    this.#clock = clock;
    this.#observe = observe;
  }

  login(routes: readonly Route[]): Promise<RouterLogin[]> {
    return this.#timed("login", this.#router.login(routes));
  }

  logout(sessions: readonly SessionKey[]): Promise<boolean[]> {
    return this.#timed("logout", this.#router.logout(sessions));
  }

  lookup(userIds: readonly string[]): Promise<Map<string, Route[]>> {
    return this.#timed("lookup", this.#router.lookup(userIds));
  }

  stored(userIds: readonly string[]): Promise<Map<string, readonly Route[]>> {
    return this.#timed("stored", this.#router.stored(userIds));
  }

  leased(incarnations: readonly string[]): Promise<Map<string, boolean>> {
    return this.#timed("leased", this.#router.leased(incarnations));
  }

  renewLease(incarnation: string, request?: RenewalRequest): Promise<Renewal> {
    return this.#timed("renewLease", this.#router.renewLease(incarnation, request));
  }

  fence(incarnation: string): Promise<void> {
    return this.#timed("fence", this.#router.fence(incarnation));
  }

  purge(incarnation: string): Promise<PurgeCount> {
    return this.#timed("purge", this.#router.purge(incarnation));
  }

  inspect(incarnations: readonly string[]): Promise<Inspection[]> {
    return this.#timed("inspect", this.#router.inspect(incarnations));
  }

  forget(incarnation: string, conns: ReadonlySet<number>): Promise<number> {
    return this.#timed("forget", this.#router.forget(incarnation, conns));
  }

  generation(): Promise<Generation> {
    return this.#timed("generation", this.#router.generation());
  }

  /** The very promise: nobody waits a turn longer for having been timed. */
  #timed<T>(op: string, answer: Promise<T>): Promise<T> {
    const startedMs = this.#clock.nowMs();
    const done = (result: "ok" | "failed") => (): void => this.#observe(op, result, this.#clock.nowMs() - startedMs);
    void answer.then(done("ok"), done("failed"));
    return answer;
  }
}
