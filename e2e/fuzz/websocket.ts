// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { upgradeRequest, wsFrame } from "../../gateway/testing/ws-frame.ts";
import type { Random } from "../sim/random.ts";
import { framed, helloBody, hostileFrame, survivableFrame } from "./frames.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const MAX_MESSAGES = 8;
const MAX_FRAGMENTS = 16;

/** A message in one to sixteen fragments, with control frames between them. */
function fragmented(random: Random, payload: Buffer): Buffer {
  const count = random.int(2, MAX_FRAGMENTS);
  const size = Math.ceil(payload.length / count);
  const frames: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    const part = payload.subarray(i * size, (i + 1) * size);
    frames.push(wsFrame({ opcode: i === 0 ? 2 : 0, isFinal: i === count - 1, payload: part }));
    if (random.chance(0.2)) frames.push(wsFrame({ opcode: random.pick([9, 10]), payload: randomBytes(random, 9) }));
  }
  return Buffer.concat(frames);
}

/** A message after which the connection goes on. */
function survivableMessage(random: Random): Buffer {
  const frames = Array.from({ length: random.int(1, 3) }, () => survivableFrame(random));
  const payload = Buffer.concat(frames);
  switch (random.int(0, 4)) {
    case 0:
      return wsFrame({ opcode: random.pick([9, 10]), payload: randomBytes(random, random.int(0, 125)) });
    case 1:
      return fragmented(random, payload);
    case 2:
      return wsFrame({ opcode: 2, payload, lengthBytes: payload.length < 65_536 && random.chance(0.5) ? 2 : 8 });
    default:
      return wsFrame({ opcode: 2, payload });
  }
}

const BAD_UTF8 = [[0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff], [0xe2, 0x82], [0x80]];
const CLAIMS = [0n, 125n, 126n, 65_535n, 65_536n, 262_149n, 0x7fff_ffffn, 1n << 53n, (1n << 63n) - 1n, 1n << 63n];

function closeFrame(random: Random): Buffer {
  const code = Buffer.alloc(2);
  code.writeUInt16BE(
    random.chance(0.5) ? random.int(0, 65_535) : random.pick([999, 1004, 1005, 1006, 1015, 2999, 5000]),
  );
  const reason: Buffer = random.chance(0.5)
    ? Buffer.from(random.pick(BAD_UTF8))
    : randomBytes(random, random.int(0, 123));
  const payload = random.chance(0.2) ? code.subarray(0, random.int(0, 1)) : Buffer.concat([code, reason]);
  return wsFrame({ opcode: 8, payload });
}

/** A message that breaks the rules of WebSocket, or holds frames that break ours. */
export function hostileMessage(random: Random): Buffer {
  const payload = randomBytes(random, random.int(0, 200));
  switch (random.int(0, 9)) {
    case 0:
      return wsFrame({ opcode: random.int(0, 15), payload, rsv: random.int(0, 7) });
    case 1:
      return wsFrame({ opcode: 2, payload, isMasked: false });
    case 2:
      return wsFrame({ opcode: 2, payload, claimed: random.pick(CLAIMS), lengthBytes: random.pick([0, 2, 8]) });
    case 3:
      return closeFrame(random);
    case 4:
      return wsFrame({ opcode: 1, payload: Buffer.from(random.pick(BAD_UTF8)) });
    case 5:
      return wsFrame({ opcode: random.pick([8, 9, 10]), payload, isFinal: false });
    case 6:
      return Buffer.concat(
        Array.from({ length: random.int(1, 600) }, () =>
          wsFrame({ opcode: 0, payload: Buffer.alloc(0), isFinal: false }),
        ),
      );
    case 7: {
      const empty = { payload: Buffer.alloc(random.int(0, 1)), isFinal: false };
      return Buffer.concat(
        Array.from({ length: random.int(2, 600) }, (_, i) => wsFrame({ opcode: i === 0 ? 2 : 0, ...empty })),
      );
    }
    case 8:
      return mutate(wsFrame({ opcode: 2, payload: survivableFrame(random) }), random);
    default:
      return wsFrame({ opcode: 2, payload: hostileFrame(random) });
  }
}

/** The messages of one WebSocket client, upgrade included. */
export function websocketCase(random: Random): FuzzCase {
  const hasLogin = random.chance(0.85);
  const hello = framed(Buffer.concat([Buffer.from([0x08, 1, 0x7a]), framed(helloBody(random))]));
  const head: Buffer[] = [Buffer.from(upgradeRequest(random.chance(0.3) ? ["Sec-WebSocket-Protocol: im.v1"] : []))];
  if (hasLogin) head.push(wsFrame({ opcode: 2, payload: hello }));
  const messages = Array.from({ length: hasLogin ? random.int(0, MAX_MESSAGES) : 0 }, () => survivableMessage(random));
  messages.push(hostileMessage(random));
  return {
    chunks: [...head, ...cut(Buffer.concat(messages), random)],
    inputs: messages.length,
    loginChunks: hasLogin ? head.length : 0,
  };
}
