// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command } from "#proto/commands.ts";
import { Block, BlockList } from "#proto/gen/messages.ts";
import { type Asked, answer, badRequest, isSeq, refusalOf, refuse, tooFast } from "../conversations/answers.ts";
import type { EphemeralFrames } from "../deliver/ephemeral.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import { directConversationId } from "../send/conversation.ts";
import type { Refusal, Session } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import { type BlockedPeer, type BlockStore, MAX_BLOCKED } from "../store/blocks.ts";
import { isPeerId } from "../tenant/peer-id.ts";
import { OVERLOADED } from "./answers.ts";

/** Users in one request. */
export const MAX_NAMED = 100;
const PACE = { perSecond: 1, burst: 20 };

/** What {@link BlockHandler} needs. */
export interface BlockPorts {
  blocks: Pick<BlockStore, "change" | "list">;
  ephemeral: Pick<EphemeralFrames, "send">;
  /** One has blocked the other: neither sees the other's presence from now on. */
  parted: (userId: string, blockedId: string) => void;
  gate: Gate;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "chatCommands">;
}

/** BLOCK: whom a user has blocked. Other devices of the user hear of a change at once, or by the version when they ask. */
export class BlockHandler {
  readonly #ports: BlockPorts;
  readonly #pace: SessionPace;

  constructor(ports: BlockPorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const asked = { session, rid, cmd: Command.BLOCK };
    const request = parse(session.userId, body);
    if ("code" in request) {
      this.#refuse(asked, request);
      return;
    }
    const waitMs = this.#pace.take(session);
    if (waitMs > 0) this.#refuse(asked, tooFast("Block", waitMs));
    else
      this.#ports.gate.enter(
        () => this.#run(asked, request),
        () => this.#refuse(asked, OVERLOADED),
      );
  }

  async #run(asked: Asked, { block, unblock, version }: Block): Promise<void> {
    const { blocks, clock, onFault, random, metrics } = this.#ports;
    const { userId } = asked.session;
    try {
      if (block.length + unblock.length > 0) {
        const change = {
          userId,
          block: peersOf(userId, block),
          unblock: peersOf(userId, unblock),
          atMs: clock.wallMs(),
        };
        const result = await blocks.change(change);
        if (result.kind === "full") {
          this.#refuse(asked, badRequest(`more than ${MAX_BLOCKED} users would be blocked: unblock some first`));
          return;
        }
        if (result.kind === "changed") this.#tell(asked.session, result.version, block);
      }
      const list = await blocks.list(userId);
      const isKnown = list.version === version;
      answer(
        asked,
        BlockList.encode({ version: list.version, complete: !isKnown, userIds: isKnown ? [] : [...list.userIds] }),
      );
      metrics.chatCommands.inc({ command: "block", result: "ok" });
    } catch (error) {
      onFault("blocks", error);
      metrics.chatCommands.inc({ command: "block", result: "failed" });
      refuse(asked, refusalOf(error, random));
    }
  }

  #tell({ userId, entry, conn }: Session, version: number, block: readonly string[]): void {
    const { ephemeral, parted } = this.#ports;
    const body = BlockList.encode({ version });
    ephemeral.send({ userIds: [userId], cmd: Command.BLOCK, body, except: { incarnation: entry.incarnation, conn } });
    for (const blockedId of block) parted(userId, blockedId);
  }

  #refuse(asked: Asked, refusal: Refusal): void {
    this.#ports.metrics.chatCommands.inc({ command: "block", result: "refused" });
    refuse(asked, refusal);
  }
}

function parse(userId: string, body: Uint8Array): Block | Refusal {
  let request: Block;
  try {
    request = Block.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return badRequest("the body is not a Block message: encode it as in safety.proto");
  }
  const named = [...request.block, ...request.unblock];
  if (named.length > MAX_NAMED) return badRequest(`more than ${MAX_NAMED} users: name fewer at once`);
  if (!named.every((id) => isPeerId(userId, id)))
    return badRequest("block or unblock holds what is no user id: 1-64 of letters, digits and _.:@-");
  if (named.includes(userId)) return badRequest("nobody blocks itself: leave yourself out");
  if (new Set(named).size < named.length) return badRequest("a user is named twice: name each once");
  return isSeq(request.version) ? request : badRequest("version is no version: use that of the list, or 0");
}

function peersOf(userId: string, others: readonly string[]): BlockedPeer[] {
  return others.map((peerId) => ({ peerId, conversationId: directConversationId(userId, peerId) }));
}
