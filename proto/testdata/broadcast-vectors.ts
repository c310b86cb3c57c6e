// SPDX-License-Identifier: Apache-2.0
import { Command, Flag } from "../commands.ts";
import { SysPage, SysPull } from "../gen/messages.ts";
import { body, type ChatVectors, frame, json, utf8 } from "./vector-kit.ts";

const PULL = { inboxEpoch: "e-1", position: 7, limit: 20, acknowledgeOnly: true };
const SALE = {
  ...{ seq: 8, broadcastId: "b-1", contentType: "text/plain", content: utf8("sale"), urgent: true },
  ...{ notBeforeMs: 1_700_000_000_000, notAfterMs: 1_700_000_600_000 },
};
const PAGE = { inboxEpoch: "e-1", messages: [SALE, { ...SALE, seq: 10 }], nextPosition: 12, head: 12, more: true };

/** Golden vectors of SYS_PULL and SYS_PAGE. */
export const BROADCAST_VECTORS: ChatVectors = {
  frames: [
    frame("SYS_PULL", Command.SYS_PULL, 11, 0, SysPull.encode(PULL)),
    frame("SYS_PULL, an acknowledgement", Command.SYS_PULL, 0, 0, SysPull.encode({ ...PULL, limit: 0 })),
    frame(
      "SYS_PAGE, urgent and unasked",
      Command.SYS_PAGE,
      0,
      Flag.URGENT | Flag.NO_PERSIST,
      SysPage.encode({ messages: [SALE] }),
    ),
  ],
  bodies: [
    body("SysPull", SysPull, PULL),
    body("SysPull", SysPull, { inboxEpoch: "", position: 0 }),
    body("SysPage", SysPage, PAGE),
    body("SysPage", SysPage, { inboxEpoch: "e-1", nextPosition: 3, head: 3 }),
  ],
  json: [
    json("client", "SYS_PULL", { cmd: "SYS_PULL", rid: 9, body: { ...PULL, position: "7" } }, [
      ...([Command.SYS_PULL, 9, 0] as const),
      SysPull.encode(PULL),
    ]),
    json(
      "server",
      "SYS_PAGE",
      {
        ...{ cmd: "SYS_PAGE", rid: 9, flags: 1 },
        body: {
          ...{ inboxEpoch: "e-1" },
          messages: [
            {
              ...{ seq: "8", broadcastId: "b-1", contentType: "text/plain", content: "c2FsZQ==", urgent: true },
              ...{ notBeforeMs: "1700000000000", notAfterMs: "1700000600000" },
            },
          ],
          ...{ nextPosition: "8", head: "8", more: false },
        },
      },
      [
        ...([Command.SYS_PAGE, 9, Flag.REPLY] as const),
        SysPage.encode({ inboxEpoch: "e-1", messages: [SALE], nextPosition: 8, head: 8 }),
      ],
    ),
  ],
};
