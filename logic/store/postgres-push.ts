// SPDX-License-Identifier: Apache-2.0
import { bigintArray, textArray } from "./binary-array.ts";
import type { PostgresPool, Row } from "./postgres-pool.ts";
import * as sql from "./push-statements.ts";
import {
  type BackgroundTurn,
  type ClaimedSteps,
  type ContactKind,
  type InboxPosition,
  mergeSteps,
  type PushContact,
  type PushStepRow,
  type PushStore,
  type PushSubject,
  type QuotaRequest,
  type SettledStep,
  type StepBacklog,
  type StepLease,
} from "./push-store.ts";
import { number, subjectIn, text } from "./rows.ts";

type Pool = Pick<PostgresPool, "run" | "runAnew" | "renewSince">;

/** {@link PushStore} on PostgreSQL. */
export class PostgresPushStore implements PushStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async saveContacts(contacts: readonly PushContact[]): Promise<void> {
    if (contacts.length === 0) return;
    const newest = new Map(contacts.map((contact) => [contact.userId, contact]));
    const rows = [...newest.values()].map(({ userId, phone, wechat, timeZone }) => ({
      user_id: userId,
      phone,
      wechat,
      time_zone: timeZone,
    }));
    await this.#pool.run(sql.SAVE_CONTACTS, [JSON.stringify(rows)]);
  }

  async readContacts(userIds: readonly string[]): Promise<PushContact[]> {
    if (userIds.length === 0) return [];
    const rows = await this.#pool.run(sql.READ_CONTACTS, [textArray(userIds)]);
    return rows.map((row) => ({
      userId: row[0] ?? "",
      phone: row[1] ?? "",
      wechat: row[2] ?? "",
      timeZone: row[3] ?? "",
    }));
  }

  async readSubjects(positions: readonly InboxPosition[]): Promise<PushSubject[]> {
    if (positions.length === 0) return [];
    const askedMs = performance.now();
    const users = textArray(positions.map(({ userId }) => userId));
    const values = [users, bigintArray(positions.map(({ inboxSeq }) => inboxSeq))];
    const rows = await this.#pool.run(sql.READ_SUBJECTS, values);
    if (rows.every(isUpToHead)) return toSubjects(rows);
    // Whoever wants the push knows more than the database. It is believed when it says so on a connection of now.
    const again = await this.#pool.runAnew(sql.READ_SUBJECTS, values);
    if (again.every(isUpToHead)) this.#pool.renewSince(askedMs);
    return toSubjects(again);
  }

  async saveSteps(steps: readonly PushStepRow[]): Promise<void> {
    if (steps.length === 0) return;
    await this.#pool.run(sql.SAVE_STEPS, [JSON.stringify(mergeSteps(steps).map(toColumns))]);
  }

  async claimSteps({ leaseMs, limit }: { leaseMs: number; limit: number }): Promise<ClaimedSteps> {
    const rows = await this.#pool.run(sql.CLAIM_STEPS, [whole(leaseMs), limit]);
    return {
      nowMs: number(rows[0], 0),
      steps: rows.filter((row) => row[1] !== null).map((row) => toStep(row.slice(1))),
    };
  }

  async renewSteps({ leases, untilMs }: { leases: readonly StepLease[]; untilMs: number }): Promise<boolean[]> {
    if (leases.length === 0) return [];
    const held = leases.map((lease, at) => ({ at, ...heldColumns(lease) }));
    const rows = await this.#pool.run(sql.RENEW_STEPS, [JSON.stringify(held), whole(untilMs)]);
    const renewed = new Set(rows.map((row) => number(row, 0)));
    return leases.map((_, at) => renewed.has(at));
  }

  async settleSteps(settled: readonly SettledStep[]): Promise<void> {
    if (settled.length === 0) return;
    const rows = settled.map(({ step, endsMs, again }) => ({
      ...heldColumns({ step, endsMs }),
      last_seq: step.lastSeq,
      is_over: again === undefined,
      due_ms: whole(again?.dueMs ?? 0),
      attempts: again?.attempts ?? 0,
      first_seq: again?.firstSeq ?? 0,
      reached: again?.reached ?? false,
    }));
    await this.#pool.run(sql.SETTLE_STEPS, [JSON.stringify(rows)]);
  }

  async stepBacklog(): Promise<StepBacklog> {
    const [row] = await this.#pool.run(sql.STEP_BACKLOG, []);
    return { waiting: number(row, 0), overdueMs: number(row, 1), nowMs: number(row, 2) };
  }

  async forgetTokens(dead: readonly { userId: string; deviceId: string; pushToken: string }[]): Promise<number> {
    const known = dead.filter(({ pushToken }) => pushToken !== "");
    if (known.length === 0) return 0;
    const columns = [
      known.map(({ userId }) => userId),
      known.map(({ deviceId }) => deviceId),
      known.map(({ pushToken }) => pushToken),
    ];
    return (await this.#pool.run(sql.FORGET_TOKENS, columns.map(textArray))).length;
  }

  async forgetContacts(dead: readonly { userId: string; kind: ContactKind; address: string }[]): Promise<number> {
    const known = dead.filter(({ address }) => address !== "");
    if (known.length === 0) return 0;
    const columns = [
      known.map(({ userId }) => userId),
      known.map(({ kind }) => kind),
      known.map(({ address }) => address),
    ];
    return (await this.#pool.run(sql.FORGET_CONTACTS, columns.map(textArray))).length;
  }

  async takeQuota(requests: readonly QuotaRequest[]): Promise<number[]> {
    if (requests.length === 0) return [];
    const wanted = requests.map(({ userId, channel, day, want, cap }) => ({
      user_id: userId,
      channel,
      day,
      want,
      cap,
    }));
    const rows = await this.#pool.run(sql.TAKE_QUOTA, [JSON.stringify(wanted)]);
    const granted = new Map(rows.map((row) => [`${row[1]}\0${row[0]}`, Number(row[2])]));
    return requests.map(({ userId, channel }) => granted.get(`${channel}\0${userId}`) ?? 0);
  }

  async takeBackgroundTurn({ userId, deviceId, intervalMs }: BackgroundTurn): Promise<boolean> {
    const rows = await this.#pool.run(sql.TAKE_BACKGROUND_TURN, [userId, deviceId, whole(intervalMs)]);
    return rows.length > 0;
  }
}

/** bigint columns take no fractions. */
const whole = (ms: number): number => Math.round(ms);

/** What a step is one row by. */
function keyColumns(step: PushStepRow): Record<string, unknown> {
  return {
    user_id: step.userId,
    conversation_id: step.conversationId,
    channel: step.channel,
    device_id: step.deviceId,
    alone_seq: step.aloneSeq,
  };
}

function heldColumns({ step, endsMs }: StepLease): Record<string, unknown> {
  return { ...keyColumns(step), ends_ms: endsMs.map(whole) };
}

function toColumns(step: PushStepRow): Record<string, unknown> {
  return {
    ...keyColumns(step),
    first_seq: step.firstSeq,
    last_seq: step.lastSeq,
    attempts: step.attempts,
    reached: step.reached,
    created_ms: whole(step.createdMs),
    due_ms: whole(step.dueMs),
    leased: step.leased,
  };
}

function toStep(row: Row): PushStepRow {
  return {
    userId: row[0] ?? "",
    conversationId: row[1] ?? "",
    channel: row[2] ?? "",
    deviceId: row[3] ?? "",
    aloneSeq: Number(row[4]),
    firstSeq: Number(row[5]),
    lastSeq: Number(row[6]),
    attempts: Number(row[7]),
    reached: row[8] === "t",
    createdMs: Number(row[9]),
    dueMs: Number(row[10]),
    leased: row[11] === "t",
  };
}

const isUpToHead = (row: Row): boolean => number(row, 1) <= number(row, 2);

function toSubjects(rows: readonly Row[]): PushSubject[] {
  return rows
    .filter((row) => row[3] !== null)
    .map((row) => ({
      ...{ userId: text(row, 0), inboxSeq: number(row, 1), head: number(row, 2), messageId: text(row, 3) },
      ...{ conversationId: text(row, 4), sender: text(row, 5), contentType: text(row, 6), sentAtMs: number(row, 7) },
      ...{ isMuted: row[8] === "t", subject: subjectIn(row, 9) },
    }));
}
