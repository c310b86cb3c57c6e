// SPDX-License-Identifier: Apache-2.0
import { Command } from "#proto/commands.ts";
import { FrameClient } from "../../gateway/testing/frame-client.ts";

const PING_EVERY_MS = 100;

/** Somebody who keeps to the protocol, all the time. */
export class GoodClient {
  readonly #client: FrameClient;
  #timer: NodeJS.Timeout | undefined;
  #rid = 1;

  private constructor(client: FrameClient) {
    this.#client = client;
  }

  static async start(port: number): Promise<GoodClient> {
    const good = new GoodClient(await FrameClient.tcp(port));
    await good.#client.login("good");
    good.#timer = setInterval(() => good.#client.send(Command.PING, ++good.#rid), PING_EVERY_MS);
    return good;
  }

  async isServed(): Promise<boolean> {
    if (this.#client.isClosed) return false;
    const answered = this.#client.ofCmd(Command.PONG).length;
    await this.#client.wait(Command.PONG, answered + 1);
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#client.close();
  }
}
