// SPDX-License-Identifier: Apache-2.0
// Changes on a memory store, for tests.
import { randomUUID } from "node:crypto";
import { FakeClock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { ErrorInfo } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import type { Outgoing } from "../deliver/deliver.ts";
import { Gate } from "../gate.ts";
import { TestEpochs } from "../inbox/epoch-kit.ts";
import { unreadMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { appended, direct, message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import type { AppendedMessage, AppendInput } from "../store/store.ts";
import { ChangeDesk } from "./change-desk.ts";

/** A gate that lets one in and has room for another. */
export const NARROW = { maxRunning: 1, maxWaiting: 1, maxWaitMs: 1000 };

/** A desk on a memory store, and sessions whose answers are kept. */
export function changeSetUp(limits = { maxRunning: 4, maxWaiting: 100, maxWaitMs: 1000 }) {
  const clock = new FakeClock();
  const store = new MemoryStore(() => clock.nowMs());
  const epochs = new TestEpochs();
  epochs.current = store.epoch;
  const delivered: Outgoing[] = [];
  const faults: string[] = [];
  const onFault = (op: string, error: unknown): void => void faults.push(`${op}: ${String(error)}`);
  const metrics = unreadMetrics();
  const gate = new Gate({ clock, ...limits });
  const deliver = (outgoing: Outgoing): void => void delivered.push(outgoing);
  const desk = new ChangeDesk({ store, epochs, gate, deliver, clock, onFault, metrics });
  const send = async (sender: string, peer: string, more: Partial<AppendInput> = {}): Promise<AppendedMessage> => {
    const input = message({ sender, peer, sentAtMs: clock.wallMs(), conversationId: direct(sender, peer), ...more });
    return appended((await store.append([input]))[0]);
  };
  const ports = { desk, epochs, clock, random: () => 0.5, messageId: () => randomUUID(), onFault, metrics };
  return { clock, store, epochs, delivered, faults, gate, desk, send, ports };
}

/** A session and what it was answered. */
export function changeSession(userId: string, epoch: string) {
  const sent: RecordInput[] = [];
  const session: Session = {
    entry: { incarnation: "pod.1", send: (record) => sent.push(record) > 0 },
    ...{ conn: 7, userId, slot: "mobile", deviceId: "d", deviceName: "d", loginSeq: 1 },
    ...{ epochMark: epochMark(epoch), notedAckSeq: 0, token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 } },
  };
  return { session, sent };
}

/** The answer as an error; code 0: it is none. */
export function errorOf(record: RecordInput | undefined): ErrorInfo {
  return ErrorInfo.decode(record?.cmd === Command.ERROR ? (record.body ?? Buffer.alloc(0)) : Buffer.alloc(0));
}

/** Lets promises of memory stores settle. */
export async function settle(): Promise<void> {
  for (let at = 0; at < 20; at++) await new Promise<void>((resolve) => setImmediate(resolve));
}
