// SPDX-License-Identifier: Apache-2.0
import { purgeEntry } from "../../logic/grpc/control.ts";
import type { FaultClass } from "../checker/history.ts";
import type { EntryProcess } from "./entry-process.ts";
import type { Fleet } from "./fleet.ts";
import type { Proc } from "./kernel.ts";
import type { Fault, FaultKind } from "./plan.ts";
import type { World } from "./world.ts";

/** A process is started again after this. */
const RESTART_MS = [500, 3000] as const;
/** The operator asks again while a purge is not complete. */
const PURGE_RETRY_MS = 500;
/** The operator sees the pod end, or a node that does not answer any more. */
const DETECT_MS = [200, 2000] as const;
const DETECT_LATE_MS = [3000, 12_000] as const;
const LONG_DRAIN_MS = 120_000;
const LOSS_RATE = 0.3;
const CLOCK_STEPS_MS = [-3_600_000, 3_600_000, -3_600_000, 2000] as const;

interface Restartable {
  readonly name: string;
  readonly proc: Proc;
  readonly isUp: boolean;
  kill(why: string): void;
}

/** Does faults to a fleet, and heals them. */
export class Nemesis {
  readonly #world: World;
  readonly #fleet: Fleet;
  #isOver = false;

  constructor(world: World, fleet: Fleet) {
    this.#world = world;
    this.#fleet = fleet;
  }

  /** Does one fault now, and records it. */
  apply(fault: Fault): void {
    const target = this.#apply(fault);
    this.#world.record({
      op: "fault",
      kind: "info",
      process: "nemesis",
      what: `${fault.kind}: ${target}, ${fault.durationMs} ms`,
      faultClass: classOf(fault.kind),
      untilMs: this.#world.kernel.nowMs + fault.durationMs,
    });
  }

  /** Ends every fault, and starts what is down. */
  heal(): void {
    this.#isOver = true;
    const { network, servers, calls } = this.#world;
    network.healAll();
    calls.clearPlans();
    for (const server of Object.values(servers)) {
      server.awayUntilMs = 0;
      server.lossRate = 0;
    }
    const { logics, entries, extlogics } = this.#fleet;
    for (const one of [...logics, ...entries, ...extlogics]) {
      one.proc.pausedUntilMs = 0;
      if (!one.isUp) one.start(true);
    }
    this.#world.note("nemesis", "healed");
  }

  #apply({ kind, target, durationMs, detail }: Fault): string {
    const { kernel, servers, network, redis } = this.#world;
    const { logics, entries, extlogics, devices } = this.#fleet;
    const untilMs = kernel.nowMs + durationMs;
    const pick = <T>(items: readonly T[]): T => items[target % items.length] as T;
    const [logic, entry, extlogic, device] = [pick(logics), pick(entries), pick(extlogics), pick(devices)];
    switch (kind) {
      case "logic killed":
        return this.#kill(logic, () => logic.start(), durationMs);
      case "logic killed at a call":
        return this.#killAtCall(logic, () => logic.start(), detail);
      case "extlogic killed":
        return this.#kill(extlogic, () => extlogic.start(), durationMs);
      case "extlogic killed at a call":
        return this.#killAtCall(extlogic, () => extlogic.start(), detail);
      case "entry killed":
        return this.#killEntry(entry, durationMs, detail % 3);
      case "logic paused":
        logic.proc.pausedUntilMs = untilMs;
        return logic.name;
      case "entry paused":
        entry.proc.pausedUntilMs = untilMs;
        return entry.name;
      case "entry cut from a logic":
        network.cut(entry.name, logic.name, untilMs);
        return `${entry.name} from ${logic.name}`;
      case "entry cut from every logic":
        for (const { name } of logics) network.cut(entry.name, name, untilMs);
        if (detail % 2 === 0) this.#purge(entry);
        return `${entry.name}${detail % 2 === 0 ? ", and purged" : ""}`;
      case "logic cut from Redis":
        network.cut(logic.name, "redis", untilMs);
        return logic.name;
      case "logic cut from the database":
        network.cut(logic.name, "database", untilMs);
        return logic.name;
      case "extlogic cut from Redis":
        network.cut(extlogic.name, "redis", untilMs);
        return extlogic.name;
      case "Redis away":
        servers.redis.awayUntilMs = untilMs;
        return "redis";
      case "Redis flushed":
        redis.flush();
        return "redis";
      case "Redis restarted":
        servers.redis.awayUntilMs = kernel.nowMs + Math.min(durationMs, 2000);
        redis.restart();
        return "redis";
      case "Redis loses answers":
        return this.#lossy("redis", durationMs);
      case "database loses answers":
        return this.#lossy("database", durationMs);
      case "database away":
        servers.database.awayUntilMs = untilMs;
        return "database";
      case "provider away":
        servers.provider.awayUntilMs = untilMs;
        return "provider";
      case "device loses its network":
        device.loseNetwork(false);
        return device.name;
      case "device vanishes":
        device.loseNetwork(true);
        return device.name;
      case "device reads nothing":
        device.stall(untilMs);
        return device.name;
      case "entry purged while it lives":
        // Nobody logs in to one that drains: only its lease tells it that it was declared dead.
        if (detail % 2 === 0) entry.drain(LONG_DRAIN_MS, LONG_DRAIN_MS);
        this.#purge(entry);
        return `${entry.name}${detail % 2 === 0 ? ", draining" : ""}`;
      case "entry drained":
        entry.drain(durationMs, durationMs + 1000);
        kernel.after(durationMs + 2000, undefined, () => {
          if (!entry.isUp) return;
          entry.kill("drained");
          this.#purge(entry);
          entry.start(true);
        });
        return entry.name;
      case "clock stepped": {
        const { proc } = detail % 8 < 4 ? extlogic : pick<{ proc: Proc }>([...logics, ...entries]);
        proc.wallSkewMs += CLOCK_STEPS_MS[detail % CLOCK_STEPS_MS.length] ?? 0;
        return proc.name;
      }
    }
  }

  #kill(one: Restartable, restart: () => void, downMs: number): string {
    one.kill("fault");
    this.#restartLater(one, restart, downMs);
    return one.name;
  }

  #restartLater(one: Restartable, restart: () => void, downMs: number): void {
    this.#world.kernel.after(downMs, undefined, () => {
      if (!one.isUp) restart();
    });
  }

  /** The next few calls, or one much later: any await is hit, before or after its effect. */
  #killAtCall(one: Restartable, restart: () => void, detail: number): string {
    const inCalls = 1 + (detail % 40);
    const when = detail % 2 === 0 ? "before" : "after";
    const { kernel, calls } = this.#world;
    const kill = (): void => {
      one.kill(`at a call, ${when} its effect`);
      this.#restartLater(one, restart, kernel.random.int(...RESTART_MS));
    };
    calls.plan({ proc: one.proc, inCalls, when, kill });
    return `${one.name}, ${when} the effect of call ${inCalls}`;
  }

  /** With the operator (twice of three times) the pod is replaced and purged; without, its container restarts. */
  #killEntry(entry: EntryProcess, downMs: number, choice: number): string {
    const { podUid } = entry;
    entry.kill("fault");
    const { kernel } = this.#world;
    const [soonestMs, latestMs] = kernel.random.chance(0.3) ? DETECT_LATE_MS : DETECT_MS;
    const detectMs = kernel.random.int(soonestMs, latestMs);
    if (choice !== 0) kernel.after(detectMs, undefined, () => this.#purge(entry, podUid));
    this.#restartLater(entry, () => entry.start(choice !== 0), downMs);
    return entry.name;
  }

  /** What the operator does when it believes a pod dead: it asks logic until nothing is left. */
  #purge(entry: EntryProcess, podUid = entry.podUid): void {
    const { kernel } = this.#world;
    let tries = 0;
    const attempt = (): void => {
      if (this.#isOver || tries++ > 60) return;
      const logic = kernel.random.pick(this.#fleet.logics);
      const { core } = logic;
      if (!core) {
        kernel.after(PURGE_RETRY_MS, undefined, attempt);
        return;
      }
      let isAnswered = false;
      kernel.after(0, logic.proc, () => {
        purgeEntry(core.control, { podUid, force: true }).then(
          ({ routesRemaining }) => {
            isAnswered = routesRemaining === 0;
          },
          () => undefined,
        );
      });
      kernel.after(2000, undefined, () => {
        if (!isAnswered) attempt();
      });
    };
    attempt();
    // The pod object is deleted. Its process ends now or never: on a node that nobody reaches, only the fence ends it.
    const isReached = kernel.random.chance(0.5);
    kernel.after(kernel.random.int(2000, 20_000), undefined, () => {
      if (entry.podUid !== podUid || (!isReached && entry.isUp)) return;
      entry.kill("its pod was deleted");
      entry.start(true);
    });
  }

  #lossy(name: "redis" | "database", durationMs: number): string {
    const server = this.#world.servers[name];
    server.lossRate = LOSS_RATE;
    this.#world.kernel.after(durationMs, undefined, () => {
      server.lossRate = 0;
    });
    return name;
  }
}

function classOf(kind: FaultKind): FaultClass {
  if (kind === "Redis flushed" || kind === "Redis restarted") return "redis-loss";
  return "component";
}
