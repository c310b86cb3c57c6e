// SPDX-License-Identifier: Apache-2.0
// Runs inside a private network for private-network.int.test.ts: two Redis servers as hosts `a` and `b`, every kind of
// fault between us, `a` and `b`; prints what was observed as one line of JSON. With the argument "stay" it then waits.
import { connect, type Socket } from "node:net";
import { PrivateNetwork } from "./private-network.ts";
import { startRedis } from "./redis.ts";

const QUIET_MS = 700;

/** One connection that can ask `PING`. */
class Line {
  readonly #socket: Socket;
  readonly #answers: (() => void)[] = [];
  end = "";

  constructor(host: string, port: number) {
    this.#socket = connect({ host, port });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => {
      for (let lines = text.split("\n").length; lines > 1; lines--) this.#answers.shift()?.();
    });
    this.#socket.on("error", (error: NodeJS.ErrnoException) => {
      this.end = error.code ?? error.message;
    });
  }

  /** Does PING get an answer in time? An answer that comes later counts for nothing. */
  ping(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), QUIET_MS);
      this.#answers.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
      this.#socket.write("PING\r\n");
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

async function canReach(host: string, port: number): Promise<boolean> {
  const line = new Line(host, port);
  const answered = await line.ping();
  line.close();
  return answered;
}

const network = new PrivateNetwork();
await network.open();
const [a, b] = [await network.addHost("a"), await network.addHost("b")];
const [redisA, redisB] = [await startRedis({ place: a }), await startRedis({ place: b })];
const toA = (): Promise<boolean> => canReach(a.host, redisA.port);
const toB = (): Promise<boolean> => canReach(b.host, redisB.port);
const seen: Record<string, unknown> = { before: [await toA(), await toB()] };

const healCut = await network.drop([{ host: a, from: network.hub.host }]);
seen.cutA = [await toA(), await toB()];
await healCut();
seen.healedA = await toA();

const healAlias = await network.drop([{ host: a, to: a.alias }]);
seen.cutAlias = [await toA(), await canReach(a.alias, redisA.port)];
await healAlias();

// One direction: what `a` answers does not arrive, though it hears us.
const healAnswers = await network.drop([{ host: network.hub, from: a.host }]);
seen.cutAnswers = await toA();
await healAnswers();

const healLoss = await network.drop([{ host: a, share: 1 }]);
seen.lossOfAll = await toA();
await healLoss();

const kept = new Line(b.host, redisB.port);
await kept.ping();
await network.reset(b, network.hub.host);
await kept.ping();
seen.reset = kept.end;
seen.after = [await toA(), await toB()];
console.log(JSON.stringify(seen));
if (process.argv[2] === "stay") await new Promise((resolve) => setTimeout(resolve, 60_000));
await Promise.all([redisA.stop(), redisB.stop()]);
await network.close();
console.log(JSON.stringify({ closed: true }));
