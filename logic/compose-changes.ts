// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import { CardActionHandler, type CardActionTarget } from "./changes/card-action.ts";
import { CardDesk } from "./changes/card-desk.ts";
import type { CardKey } from "./changes/card-keys.ts";
import { ChangeDesk } from "./changes/change-desk.ts";
import { ChangeHandler } from "./changes/change-handler.ts";
import { type ChangePolicy, DEFAULT_CHANGE_POLICY } from "./changes/change-policy.ts";
import type { CommandHandler, CommandHandlers } from "./command-handlers.ts";
import type { LogicPorts } from "./compose.ts";
import type { ChatPart } from "./compose-chat.ts";
import type { Outgoing } from "./deliver/deliver.ts";
import { Gate } from "./gate.ts";
import { VerdictDesk } from "./hooks/late-verdicts.ts";
import type { EpochWatch } from "./inbox/epoch-watch.ts";
import type { SendGate } from "./send/send-gate.ts";
import type { WebhookSender } from "./webhook/webhook-sender.ts";

/** Transactions of changes: sends have the rest of the connections to themselves. */
const CHANGE_GATE = { maxRunning: 2, maxWaiting: 2000, maxWaitMs: 2000 };
/** Presses wait for somebody else's backend: however slow that is, this many are in hand and this many wait. */
const PRESS_GATE = { maxRunning: 32, maxWaiting: 500, maxWaitMs: 3000 };

/** What changes and cards need beside the ports of logic; what is left out does not exist in this cluster. */
export interface ChangeSettings {
  /** Default {@link DEFAULT_CHANGE_POLICY}. */
  policy?: ChangePolicy;
  /** How long a user may not write, ms; 0 = it may. Default nobody is held back. */
  mutedMs?: (userId: string) => number;
  /** Keys of cards, as they are now; the first one signs. */
  cardKeys?: () => readonly CardKey[];
  /** Who is told of pressed buttons, and by what. */
  cardActions?: { target: CardActionTarget; webhooks: WebhookSender };
}

/** Recalls, edits and cards, as the rest of logic sees them. */
export interface ChangeParts extends ChatPart {
  /** For SEND, and for backends. */
  readonly cards: CardDesk;
}

const NO_WEBHOOKS: Pick<WebhookSender, "post" | "deadlineMs"> = {
  post: async () => ({ kind: "forbidden", reason: "there is no backend" }),
  deadlineMs: 0,
};

/** @param deliver hands committed events to their recipients */
export function composeChanges(
  ports: LogicPorts,
  {
    epochs,
    messageId,
    deliver,
    gate: sendGate,
  }: {
    epochs: EpochWatch;
    messageId: () => string;
    deliver: (outgoing: Outgoing) => void;
    gate: Pick<SendGate, "enter">;
  },
): ChangeParts {
  const { store, clock, random, onFault, metrics, changes = {} } = ports;
  const gate = new Gate({ clock, ...CHANGE_GATE });
  const presses = new Gate({ clock, ...PRESS_GATE });
  const desk = new ChangeDesk({ store, epochs, gate, deliver, clock, onFault, metrics });
  const verdicts = composeVerdicts(ports, desk, messageId);
  const policy = changes.policy ?? DEFAULT_CHANGE_POLICY;
  const target = changes.cardActions?.target;
  const webhooks = changes.cardActions?.webhooks ?? NO_WEBHOOKS;
  const { mutedMs = () => 0 } = changes;
  const handler = new ChangeHandler({ desk, epochs, policy, gate: sendGate, mutedMs, messageId, clock, random });
  const actions = new CardActionHandler({ target, webhooks, store, gate: presses, clock, random, onFault, metrics });
  const commands: CommandHandlers = new Map<number, CommandHandler>([
    [Command.RECALL, (session, rid, body) => handler.handle(session, { cmd: Command.RECALL, rid, body })],
    [Command.EDIT, (session, rid, body) => handler.handle(session, { cmd: Command.EDIT, rid, body })],
    [Command.CARD_ACTION, (session, rid, body) => actions.handle(session, rid, body)],
  ]);
  return {
    commands,
    cards: new CardDesk({ keys: changes.cardKeys ?? (() => []), store, desk, messageId, clock }),
    isIdle: () => gate.running === 0 && presses.running === 0,
    close: () => void verdicts?.stop(),
  };
}

/** Late verdicts of classifiers, where hooks may give them. */
function composeVerdicts(
  { store, hooks, clock, random, onFault, log, metrics }: LogicPorts,
  desk: ChangeDesk,
  messageId: () => string,
): VerdictDesk | undefined {
  if (!hooks) return undefined;
  const isWanted = (): boolean => hooks().hooks.some(({ verdicts }) => verdicts);
  const ports = { store: store.hooks, desk, isWanted, messageId, clock, random, onFault, log, metrics };
  const verdicts = new VerdictDesk(ports);
  verdicts.start();
  return verdicts;
}
