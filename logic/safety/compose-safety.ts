// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import type { LogicPorts } from "../compose.ts";
import type { ChatCore, ChatPart } from "../compose-chat.ts";
import { Gate } from "../gate.ts";
import { partedNote } from "../presence/parted.ts";
import { BlockHandler } from "./block-handler.ts";
import { ReportHandler } from "./report-handler.ts";

/** Requests under way: each is a query or two, and none may crowd out a pull. */
const SAFETY_GATE = { maxRunning: 2, maxWaiting: 2000, maxWaitMs: 2000 };

/** BLOCK and REPORT. */
export function composeSafety(ports: LogicPorts, { ephemeral, presenceNote }: ChatCore): ChatPart {
  const { clock, random, onFault, metrics, store } = ports;
  const gate = new Gate({ clock, ...SAFETY_GATE });
  const parted = (one: string, other: string): void => presenceNote(partedNote(one, other));
  const shared = { gate, clock, random, onFault, metrics };
  const blocks = new BlockHandler({ ...shared, ephemeral, blocks: store.blocks, parted });
  const reports = new ReportHandler({ ...shared, store, policy: store.policy });
  return {
    commands: new Map([
      [Command.BLOCK, blocks.handle.bind(blocks)],
      [Command.REPORT, reports.handle.bind(reports)],
    ]),
    isIdle: () => gate.running === 0,
    close: () => undefined,
  };
}
