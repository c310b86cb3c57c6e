// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Counter, Metrics } from "#lib/metrics.ts";
import type { GroupChanger } from "../groups/group-changer.ts";
import type { GroupOperation } from "../groups/group-rules.ts";
import { Rounds } from "../rounds.ts";
import type { ErasureClaim, ErasureProgress, GovernanceStore } from "../store/governance.ts";
import type { GroupStore } from "../store/groups.ts";
import { heirOf } from "./heir.ts";

/** A request is looked at within a few seconds, by one of the logics. */
const ROUND_MS = 5000;
/** When a process dies, another one goes on after this. */
const LEASE_MS = 30_000;
/** Sessions on revoked tokens are closed within 5 s; what they had sent is stored soon after that. */
const SETTLE_MS = 10_000;
const STEP_ROWS = 200;
/** Lets others at the database. */
const PAUSE_MS = 20;
const RETRY_MS = 5000;
/** Bounds a round; what is left comes in the next one. */
const MAX_STEPS = 500;
const MAX_GROUPS = 50;

/** What {@link ErasureJob} needs. */
export interface ErasurePorts {
  store: Pick<GovernanceStore, "claimErasure" | "stepErasure" | "releaseErasure">;
  groups: Pick<GroupStore, "groupsOf" | "look">;
  changer: Pick<GroupChanger, "change">;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  steps: Counter<"stage" | "result">;
}

/** Registers the figure of {@link ErasureJob}. */
export function createErasureSteps(metrics: Metrics): Counter<"stage" | "result"> {
  return metrics.counter("im_erasure_steps_total", "Portions of deletions of users.", ["stage", "result"]);
}

/**
 * Deletes users, a portion at a time. What is done is done, and what is left is known from the database: so it may end anywhere, and
 * whichever logic comes next goes on.
 */
export class ErasureJob {
  readonly #ports: ErasurePorts;
  readonly #rounds: Rounds;
  #wake: () => void = () => undefined;
  #isEnding = false;

  constructor(ports: ErasurePorts) {
    this.#ports = ports;
    const { clock, random } = ports;
    this.#rounds = new Rounds({ everyMs: ROUND_MS, round: () => this.round(), clock, random });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when the running portion, if any, is done. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    const stopped = this.#rounds.stop();
    this.#wake();
    await stopped;
  }

  /** One round: deletions that are due, one after the other. Never rejects. */
  async round(): Promise<void> {
    let left = MAX_STEPS;
    while (left > 0) {
      const claim = await this.#claim();
      if (!claim) return;
      left -= await this.#goOn(claim, left);
      if (!(await this.#pause())) return;
    }
  }

  async #claim(): Promise<ErasureClaim | undefined> {
    try {
      return await this.#ports.store.claimErasure(LEASE_MS);
    } catch (error) {
      this.#ports.onFault("erasure claim", error);
      return undefined;
    }
  }

  /** At most so many portions of one deletion; how many it were. */
  async #goOn(claim: ErasureClaim, most: number): Promise<number> {
    const { steps, onFault } = this.#ports;
    let { stage } = claim;
    for (let done = 1; done <= most; done++) {
      try {
        const progress = await this.#portion({ ...claim, stage });
        steps.inc({ stage, result: progress.kind });
        if (progress.kind !== "more") return done;
        stage = progress.stage;
      } catch (error) {
        steps.inc({ stage, result: "failed" });
        onFault("erasure", error);
        await this.#release(claim, RETRY_MS);
        return done;
      }
      if (!(await this.#pause())) break;
    }
    await this.#release(claim, 0);
    return most;
  }

  async #portion(claim: ErasureClaim): Promise<ErasureProgress> {
    if (claim.stage === "groups" && !(await this.#leaveGroups(claim))) {
      await this.#ports.store.releaseErasure(claim, 0);
      return { kind: "rest" };
    }
    return this.#ports.store.stepErasure(claim, { rows: STEP_ROWS, leaseMs: LEASE_MS, settleMs: SETTLE_MS });
  }

  /** Some of the groups, the others of which learn of it as of any leaving; false: there may be more. */
  async #leaveGroups({ userId, lease }: ErasureClaim): Promise<boolean> {
    const { groups } = this.#ports;
    const page = await groups.groupsOf({ userId, after: "", limit: MAX_GROUPS });
    for (const { conversationId } of page) await this.#leave(userId, conversationId, lease);
    return page.length === 0;
  }

  async #leave(userId: string, groupId: string, lease: number): Promise<void> {
    // Of this hold: whoever is put into the group again leaves it again.
    const requestId = `erasure.${lease}`;
    const look = { actor: userId, requestId, payloadHash: Buffer.alloc(32), groupId };
    const { group } = await this.#ports.groups.look(look);
    const heir = group?.roles.get(userId) === "owner" ? heirOf(group.roles, userId) : undefined;
    if (heir !== undefined)
      await this.#change(userId, groupId, `${requestId}.heir.${groupId}`, {
        kind: "role",
        userId: heir,
        role: "owner",
      });
    await this.#change(userId, groupId, `${requestId}.leave.${groupId}`, { kind: "leave" });
  }

  async #change(actor: string, groupId: string, requestId: string, operation: GroupOperation): Promise<void> {
    const answer = await this.#ports.changer.change(actor, { kind: "change", requestId, groupId, operation });
    if (!("code" in answer)) return;
    // It has left the group meanwhile: that was wanted.
    if (answer.code === ErrorCode.PERMISSION_DENIED) return;
    throw new ImError(ErrorCode.RETRYABLE, `a group of a deleted user: ${answer.reason}`);
  }

  async #release(claim: ErasureClaim, pauseMs: number): Promise<void> {
    try {
      await this.#ports.store.releaseErasure(claim, pauseMs);
    } catch (error) {
      this.#ports.onFault("erasure release", error);
    }
  }

  /** False when it is time to stop. */
  async #pause(): Promise<boolean> {
    if (this.#isEnding) return false;
    await new Promise<void>((resolve) => {
      const cancel = this.#ports.clock.after(PAUSE_MS, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
    return !this.#isEnding;
  }
}
