// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import { Block, BlockList } from "#proto/gen/messages.ts";
import { badRequest, isSeq } from "../conversations/answers.ts";
import type { EphemeralFrames } from "../deliver/ephemeral.ts";
import { directConversationId } from "../send/conversation.ts";
import type { Refusal, Session } from "../session/session.ts";
import { type BlockedPeer, type BlockStore, MAX_BLOCKED } from "../store/blocks.ts";
import { isPeerId } from "../tenant/peer-id.ts";
import { PacedCommand, type PacedCommandPorts } from "./paced-command.ts";

/** Users in one request. */
export const MAX_NAMED = 100;
const PACE = { perSecond: 1, burst: 20 };

/** What {@link BlockHandler} needs. */
export interface BlockPorts extends PacedCommandPorts {
  blocks: Pick<BlockStore, "change" | "list">;
  ephemeral: Pick<EphemeralFrames, "send">;
  /** One has blocked the other: neither sees the other's presence from now on. */
  parted: (userId: string, blockedId: string) => void;
}

/** BLOCK: whom a user has blocked. Other devices of the user hear of a change at once, or by the version when they ask. */
export class BlockHandler {
  readonly #ports: BlockPorts;
  readonly #command: PacedCommand;

  constructor(ports: BlockPorts) {
    this.#ports = ports;
    this.#command = new PacedCommand(ports, { name: "block", title: "Block", pace: PACE });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const asked = { session, rid, cmd: Command.BLOCK };
    this.#command.handle(asked, parse(session.userId, body), (request) => this.#run(session, request));
  }

  async #run(session: Session, { block, unblock, version }: Block): Promise<Uint8Array | Refusal> {
    const { blocks, clock } = this.#ports;
    const { userId } = session;
    if (block.length + unblock.length > 0) {
      const named = { block: peersOf(userId, block), unblock: peersOf(userId, unblock) };
      const result = await blocks.change({ userId, ...named, atMs: clock.wallMs() });
      if (result.kind === "full")
        return badRequest(`more than ${MAX_BLOCKED} users would be blocked: unblock some first`);
      if (result.kind === "changed") this.#tell(session, result.version, block);
    }
    const list = await blocks.list(userId);
    const isKnown = list.version === version;
    return BlockList.encode({ version: list.version, complete: !isKnown, userIds: isKnown ? [] : [...list.userIds] });
  }

  #tell({ userId, entry, conn }: Session, version: number, block: readonly string[]): void {
    const { ephemeral, parted } = this.#ports;
    const body = BlockList.encode({ version });
    ephemeral.send({ userIds: [userId], cmd: Command.BLOCK, body, except: { incarnation: entry.incarnation, conn } });
    for (const blockedId of block) parted(userId, blockedId);
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
