// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { KubeError } from "../kube-error.ts";
import type { LeaderElectionOptions } from "../leader-election.ts";
import type { KubeObject, Lease } from "../types.ts";

/** The calls of one candidate, with what can go wrong between it and the API server. */
export interface LeaseAccess extends Pick<LeaderElectionOptions["client"], "get" | "create" | "patchMerge"> {
  isCutOff: boolean;
  /** So many of the next writes happen, but their answers do not arrive. */
  losesAnswers: number;
  /** One way; a call takes twice this. */
  latencyMs: number;
}

/** One Lease with the concurrency control of the API server: a write with another version or UID is a conflict. */
export class LeaseStore {
  lease: Lease | undefined;
  readonly #clock: Clock;
  #version = 0;
  #uids = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  overwrite(holderIdentity: string): void {
    if (!this.lease) return;
    this.lease = this.#stamped({ ...this.lease, spec: { ...this.lease.spec, holderIdentity } });
  }

  access(): LeaseAccess {
    const call = <R>(deadlineMs: number | undefined, isWrite: boolean, act: () => R): Promise<R> =>
      this.#call(access, deadlineMs ?? 10_000, isWrite, act);
    // The generics of the client stand for Lease here.
    const access = {
      isCutOff: false,
      losesAnswers: 0,
      latencyMs: 0,
      get: (_resource: unknown, _ns: unknown, _name: unknown, options?: { deadlineMs?: number }) =>
        call(options?.deadlineMs, false, () => structuredClone(this.lease)),
      create: (_resource: unknown, object: KubeObject, options?: { deadlineMs?: number }) =>
        call(options?.deadlineMs, true, () => this.#create(object as Lease)),
      patchMerge: (_r: unknown, _ns: unknown, _name: unknown, patch: object, options?: { deadlineMs?: number }) =>
        call(options?.deadlineMs, true, () => this.#patch(patch as Lease)),
    } as LeaseAccess;
    return access;
  }

  async #call<R>(access: LeaseAccess, deadlineMs: number, isWrite: boolean, act: () => R): Promise<R> {
    const untilMs = this.#clock.nowMs() + deadlineMs;
    const timeout = new KubeError(0, "Timeout", "no answer");
    await this.#wait(Math.min(access.latencyMs, deadlineMs));
    if (access.isCutOff || this.#clock.nowMs() >= untilMs) {
      await this.#wait(untilMs - this.#clock.nowMs());
      throw timeout;
    }
    const result = act();
    const isLost = isWrite && access.losesAnswers > 0 && access.losesAnswers-- > 0;
    const answerMs = isLost ? untilMs - this.#clock.nowMs() : access.latencyMs;
    await this.#wait(Math.min(answerMs, untilMs - this.#clock.nowMs()));
    if (isLost || this.#clock.nowMs() >= untilMs) throw timeout;
    return result;
  }

  #wait(ms: number): Promise<void> {
    if (ms <= 0) return Promise.resolve();
    return new Promise((resolve) => void this.#clock.after(ms, resolve));
  }

  #create(object: Lease): Lease | "exists" {
    if (this.lease) return "exists";
    this.lease = this.#stamped({ ...object, metadata: { ...object.metadata, uid: `uid-${++this.#uids}` } });
    return structuredClone(this.lease);
  }

  #patch(patch: Lease): Lease | undefined {
    if (!this.lease) return undefined;
    const { resourceVersion, uid } = this.lease.metadata;
    if (patch.metadata.resourceVersion !== resourceVersion || patch.metadata.uid !== uid) {
      throw new KubeError(409, "Conflict", "the object has been modified");
    }
    this.lease = this.#stamped({ ...this.lease, spec: { ...this.lease.spec, ...patch.spec } });
    return structuredClone(this.lease);
  }

  #stamped(lease: Lease): Lease {
    return { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } };
  }
}

/** Lets every promise that is ready run on. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
