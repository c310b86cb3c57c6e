// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { ImClientError } from "#client";
import { type Card, signCard } from "../../logic/changes/card.ts";
import { waitUntil } from "../harness/processes.ts";
import { Device, type Platform } from "./device.ts";
import type { ApiAnswer, ApiCall, MarketSite } from "./site.ts";

/** For whatever is waited for: generous, as the machine may be busy. */
const WAIT_MS = 60_000;

/** What one step of the walk plays with: users and devices of its own, which are gone after it. */
export class Scene {
  readonly site: MarketSite;
  readonly #devices: Device[] = [];

  constructor(site: MarketSite) {
    this.site = site;
  }

  /** A name that nobody had before. */
  unique(name: string): string {
    return `${name}-${randomBytes(5).toString("hex")}`;
  }

  /** A device of a user that is logged in, by the next way in. */
  async device(userId: string, platform: Platform = "ios"): Promise<Device> {
    const target = this.site.targets[this.#devices.length % this.site.targets.length];
    assert.ok(target, "the site has no way in");
    const device = new Device({ userId, platform, target, getToken: () => this.site.getToken(userId) });
    this.#devices.push(device);
    return await device.arrive();
  }

  /** Devices of new users with these names. */
  devices(...names: string[]): Promise<Device[]> {
    return Promise.all(names.map((name) => this.device(this.unique(name))));
  }

  /** Waits for a condition, bounded. */
  until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = WAIT_MS): Promise<void> {
    return waitUntil(what, isSo, timeoutMs);
  }

  /** Calls the server API. @throws AssertionError when it is not answered with 2xx */
  async api(call: ApiCall): Promise<Record<string, unknown>> {
    const { status, body } = await this.site.callApi(call);
    assert.ok(status >= 200 && status < 300, `${call.method} ${call.path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** A call that has to be refused with this status. */
  async refusedApi(call: ApiCall, status: number): Promise<ApiAnswer> {
    const answer = await this.site.callApi(call);
    assert.equal(answer.status, status, `${call.method} ${call.path}: ${JSON.stringify(answer.body)}`);
    return answer;
  }

  /** The content of a card as the shop's backend signs it. */
  signed(card: Card): string {
    return signCard(card, this.site.cardKey);
  }

  /** Goes on when the ledger has what the receiver's device acknowledged. */
  async acknowledged(userId: string, messageId: string): Promise<void> {
    const path = `/v1/users/${userId}/messages/${messageId}`;
    await this.until(`the ledger has the acknowledgement of ${userId}`, async () => {
      const { receivers } = (await this.api({ method: "GET", path })) as {
        receivers: { userId: string; state: string }[];
      };
      return receivers.some((receiver) => receiver.userId === userId && receiver.state === "acknowledged");
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#devices.splice(0).map((device) => device.leave()));
  }
}

/** The refusal of something that has to be refused. @throws AssertionError when it was not, or with another code */
export async function refusalOf(work: Promise<unknown>, codeName: string): Promise<ImClientError> {
  const error: unknown = await work.then(
    () => assert.fail(`was not refused with ${codeName}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ImClientError, String(error));
  assert.equal(error.codeName, codeName, error.message);
  return error;
}
