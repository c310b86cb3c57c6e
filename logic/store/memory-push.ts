// SPDX-License-Identifier: Apache-2.0
import {
  type BackgroundTurn,
  type ClaimedSteps,
  type ContactKind,
  type InboxPosition,
  mergeStep,
  type PushContact,
  type PushStepRow,
  type PushStore,
  type PushSubject,
  type QuotaRequest,
  type SettledStep,
  type StepBacklog,
  type StepLease,
  stepKey,
} from "./push-store.ts";

/** A device's token, as the rest of the memory store keeps it. */
type TokenHolder = { pushToken: string };

/** {@link PushStore} in maps: the reference model of PostgreSQL's, and for tests. */
export class MemoryPushStore implements PushStore {
  readonly #device: (userId: string, deviceId: string) => TokenHolder | undefined;
  readonly #subject: (position: InboxPosition) => PushSubject | undefined;
  readonly #wallMs: () => number;
  readonly #contacts = new Map<string, PushContact>();
  readonly #steps = new Map<string, PushStepRow>();
  readonly #quotas = new Map<string, { day: number; sent: number }>();
  readonly #backgroundMs = new Map<string, number>();

  /** @param wallMs the store's time */
  constructor(
    device: (userId: string, deviceId: string) => TokenHolder | undefined,
    subject: (position: InboxPosition) => PushSubject | undefined,
    wallMs: () => number = () => Date.now(),
  ) {
    this.#device = device;
    this.#subject = subject;
    this.#wallMs = wallMs;
  }

  /** Copies of all steps, for tests. */
  get steps(): PushStepRow[] {
    return [...this.#steps.values()].map((step) => ({ ...step }));
  }

  /** What reaches the user, and what waits for that. */
  forget(userId: string): void {
    this.#contacts.delete(userId);
    for (const [key, step] of this.#steps) if (step.userId === userId) this.#steps.delete(key);
  }

  async saveContacts(contacts: readonly PushContact[]): Promise<void> {
    for (const contact of contacts) this.#contacts.set(contact.userId, { ...contact });
  }

  async readContacts(userIds: readonly string[]): Promise<PushContact[]> {
    return [...new Set(userIds)].flatMap((userId) => {
      const contact = this.#contacts.get(userId);
      return contact ? [{ ...contact }] : [];
    });
  }

  async readSubjects(positions: readonly InboxPosition[]): Promise<PushSubject[]> {
    return positions.flatMap((position) => this.#subject(position) ?? []);
  }

  async saveSteps(steps: readonly PushStepRow[]): Promise<void> {
    for (const step of steps) {
      const known = this.#steps.get(stepKey(step));
      this.#steps.set(stepKey(step), known ? mergeStep(known, step) : { ...step });
    }
  }

  async claimSteps({ leaseMs, limit }: { leaseMs: number; limit: number }): Promise<ClaimedSteps> {
    const nowMs = this.#wallMs();
    const due = [...this.#steps.values()].filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
    const steps = due.slice(0, limit).map((step) => {
      step.dueMs = nowMs + leaseMs;
      step.leased = true;
      return { ...step };
    });
    return { nowMs, steps };
  }

  async renewSteps({ leases, untilMs }: { leases: readonly StepLease[]; untilMs: number }): Promise<boolean[]> {
    return leases.map(({ step, endsMs }) => {
      const known = this.#steps.get(stepKey(step));
      if (!known?.leased || !endsMs.includes(known.dueMs)) return false;
      known.dueMs = untilMs;
      return true;
    });
  }

  async settleSteps(settled: readonly SettledStep[]): Promise<void> {
    const nowMs = this.#wallMs();
    for (const { step, endsMs, again } of settled) {
      const known = this.#steps.get(stepKey(step));
      if (!known) continue;
      const isOthers = known.leased && !endsMs.includes(known.dueMs);
      if (!again && known.lastSeq <= step.lastSeq) this.#steps.delete(stepKey(step));
      else if (isOthers) continue;
      else if (again) Object.assign(known, again, { leased: false });
      else Object.assign(known, { leased: false, dueMs: nowMs, attempts: 0, firstSeq: step.lastSeq + 1 });
    }
  }

  async stepBacklog(): Promise<StepBacklog> {
    const nowMs = this.#wallMs();
    const due = [...this.#steps.values()].map(({ dueMs }) => dueMs).filter((dueMs) => dueMs <= nowMs);
    return { waiting: this.#steps.size, overdueMs: due.length === 0 ? 0 : nowMs - Math.min(...due), nowMs };
  }

  async forgetTokens(dead: readonly { userId: string; deviceId: string; pushToken: string }[]): Promise<number> {
    let forgotten = 0;
    for (const { userId, deviceId, pushToken } of dead) {
      const device = this.#device(userId, deviceId);
      if (pushToken === "" || device?.pushToken !== pushToken) continue;
      device.pushToken = "";
      forgotten++;
    }
    return forgotten;
  }

  async forgetContacts(dead: readonly { userId: string; kind: ContactKind; address: string }[]): Promise<number> {
    const changed = new Set<string>();
    for (const { userId, kind, address } of dead) {
      const contact = this.#contacts.get(userId);
      if (address === "" || contact?.[kind] !== address) continue;
      contact[kind] = "";
      changed.add(userId);
    }
    return changed.size;
  }

  async takeQuota(requests: readonly QuotaRequest[]): Promise<number[]> {
    return requests.map(({ userId, channel, day, want, cap }) => {
      const key = `${channel}\0${userId}`;
      const known = this.#quotas.get(key);
      const sent = known?.day === day ? known.sent : 0;
      const granted = Math.max(0, Math.min(want, cap - sent));
      this.#quotas.set(key, { day, sent: sent + granted });
      return granted;
    });
  }

  async takeBackgroundTurn({ userId, deviceId, intervalMs }: BackgroundTurn): Promise<boolean> {
    const nowMs = this.#wallMs();
    const key = `${deviceId}\0${userId}`;
    if (!this.#device(userId, deviceId) || (this.#backgroundMs.get(key) ?? 0) > nowMs - intervalMs) return false;
    this.#backgroundMs.set(key, nowMs);
    return true;
  }
}
