// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import type { LogicPorts } from "../compose.ts";
import type { ChatCore, ChatPart } from "../compose-chat.ts";
import { ContactsHandler } from "./contacts-handler.ts";
import { StateHandler } from "./state-handler.ts";
import { TypingHandler } from "./typing-handler.ts";

/** CONTACTS, READ, CONV_SET and TYPING. */
export function composeConversations(ports: LogicPorts, { ephemeral, epochs, desk }: ChatCore): ChatPart {
  const { clock, random, defer, onFault, metrics } = ports;
  const { conversations } = ports.store;
  const shared = { states: conversations, ephemeral, clock, random, defer, onFault, metrics };
  const states = new StateHandler(shared);
  const typing = new TypingHandler(shared);
  const contacts = new ContactsHandler({ conversations, epochs, desk });
  return {
    commands: new Map([
      [Command.READ, states.read.bind(states)],
      [Command.TYPING, typing.handle.bind(typing)],
      [Command.CONTACTS, contacts.handle.bind(contacts)],
      [Command.CONV_SET, states.set.bind(states)],
    ]),
    isIdle: () => states.isIdle && typing.isIdle,
    close: () => undefined,
  };
}
