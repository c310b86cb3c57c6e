// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import type { LogicPorts } from "../compose.ts";
import type { ChatCore, ChatPart } from "../compose-chat.ts";
import { Gate } from "../gate.ts";
import { GroupChanger } from "./group-changer.ts";
import { GroupHandler } from "./group-handler.ts";
import { LargeNotices } from "./large-notices.ts";

/** Requests under way: each is a query or two, and none may crowd out a pull. */
const GROUP_GATE = { maxRunning: 4, maxWaiting: 2000, maxWaitMs: 2000 };

/** GROUP. */
export function composeGroups(ports: LogicPorts, core: ChatCore): ChatPart {
  const { epochs, messageId, deliver, ephemeral, large } = core;
  const { clock, random, defer, onFault, metrics, maxGroupMembers } = ports;
  const { groups: store, blocks } = ports.store;
  const gate = new Gate({ clock, ...GROUP_GATE });
  const blockersAmong = blocks.blockersAmong.bind(blocks);
  const changer = new GroupChanger({
    ...{ store, blockersAmong, epochs, messageId, deliver, clock, random, maxGroupMembers },
  });
  const notices = new LargeNotices({ store, ephemeral, clock, defer, onFault });
  large.tell = notices.tell.bind(notices);
  const handler = new GroupHandler({ store, changer, gate, epochs, clock, random, onFault, metrics });
  return {
    commands: new Map([[Command.GROUP, handler.handle.bind(handler)]]),
    isIdle: () => gate.running === 0 && notices.isIdle,
    close: () => undefined,
  };
}
