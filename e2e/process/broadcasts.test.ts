// SPDX-License-Identifier: Apache-2.0
// Broadcasts, from the server API to devices through two entries and two logics: urgent, planned, for some, late, retracted.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type SystemMessage, SystemMessages } from "../../client/src/models/system-messages.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { callApi, createApiKey } from "./api-caller.ts";
import { type Carrier, login, targetOf, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
/** Of the entries here: what is not urgent comes within it. */
const PING_MS = 2000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

interface Device {
  uid: string;
  shown: SystemMessage[];
  close(): Promise<void>;
}

const apiPorts = [await freePort(), await freePort()];

describe("broadcasts", () => {
  const fleet = useFleet({
    ...{ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: String(PING_MS) } },
    logicEnvOf: (index) => ({ IM_API_PORT: String(apiPorts[index]) }),
  });
  let key = "";
  before(async () => {
    key = await createApiKey(fleet().postgresUrl, ["broadcasts:manage", "broadcasts:read"]);
  });

  async function device(uid: string, at: number, name = "phone", platform: "ios" | "web" = "ios"): Promise<Device> {
    const carrier = (["tls", "wss", "tcp", "ws", "sse"] as const satisfies Carrier[])[at % 5] ?? "tls";
    const shown: SystemMessage[] = [];
    const options = { deviceId: name, platform };
    const { client } = await login(fleet(), uid, targetOf(fleet(), carrier, at % 2), options, (made) => {
      const system = new SystemMessages(made, { onMessage: (message) => void shown.push(message), spreadMs: 100 });
      made.on("state", ({ kind }) => {
        if (kind === "closed") system.close();
      });
    });
    return { uid, shown, close: () => client.close() };
  }

  async function post(path: string, body: object, logic = 0): Promise<Record<string, unknown>> {
    const port = apiPorts[logic] ?? assert.fail();
    const answer = await callApi(port, { method: "POST", path, key, body });
    assert.ok(answer.status < 300, JSON.stringify(answer.body));
    return answer.body;
  }

  const create = (content: string, fields: object = {}, logic = 0) =>
    post(
      "/v1/broadcasts",
      { contentType: "text/plain", content, audience: "all", notAfterMs: Date.now() + 3_600_000, ...fields },
      logic,
    );

  /** Each logic answers by the clock by which it hands out. */
  async function isOver(broadcastId: string): Promise<boolean> {
    const path = `/v1/broadcasts/${broadcastId}`;
    const answers = await Promise.all(apiPorts.map((port) => callApi(port, { method: "GET", path, key })));
    return answers.every(({ body }) => body.state === "ended");
  }

  const saw = (devices: readonly Device[], content: string): Promise<void> =>
    waitUntil(
      `all show ${content}`,
      () => devices.every(({ shown }) => shown.some(({ text }) => text === content)),
      WAIT_MS,
    );

  const countOf = ({ shown }: Device, content: string): number => shown.filter(({ text }) => text === content).length;

  it("reaches every device of everybody once, at once when it is urgent, and nobody else", async () => {
    const [ann, ben] = [unique("ann"), unique("ben")];
    const devices = await Promise.all([
      device(ann, 0),
      device(ann, 1, "browser", "web"),
      device(ben, 2),
      device(unique("cid"), 3),
    ]);
    const [phone, browser, bens, cids] = devices;
    assert.ok(phone && browser && bens && cids);
    await create("to all");
    await saw(devices, "to all");
    await create("urgent", { urgent: true }, 1);
    await saw(devices, "urgent");
    const listed = await create("to some", { audience: "users", userIds: [ann], urgent: true });
    await create("to browsers", { audience: "segment", segment: [{ attribute: "platform", values: ["web"] }] }, 1);
    await create("end");
    await saw(devices, "end");
    await saw([phone, browser], "to some");
    await saw([phone, browser], "to browsers");
    assert.deepEqual([countOf(bens, "to some"), countOf(cids, "to some"), countOf(bens, "to browsers")], [0, 0, 0]);

    await post(`/v1/broadcasts/${String(listed.broadcastId)}/users`, { userIds: [ben, ann] }, 1);
    await saw([bens], "to some");
    const gone = await create("retracted");
    await post(`/v1/broadcasts/${String(gone.broadcastId)}/retract`, {}, 1);
    const late = await device(unique("late"), 4);
    await create("last", { notBeforeMs: Date.now() + 1500 });
    await saw([...devices, late], "last");
    assert.deepEqual(
      late.shown.map(({ text }) => text),
      ["last"],
      "no history for a new user",
    );
    for (const one of devices)
      for (const text of ["to all", "urgent", "end", "last"]) assert.equal(countOf(one, text), 1, text);
    for (const one of [phone, browser, bens]) assert.equal(countOf(one, "to some"), 1);
    await Promise.all([...devices, late].map((one) => one.close()));
  });

  it("waits for who is away, and is over when its time is", async () => {
    const uid = unique("dan");
    const first = await device(uid, 0);
    await create("while there");
    await saw([first], "while there");
    await first.close();
    const short = await create("short", { notAfterMs: Date.now() + 1500 });
    await create("while away");
    await waitUntil("it is over for both logics", () => isOver(String(short.broadcastId)), WAIT_MS);
    const again = await device(uid, 1);
    await saw([again], "while away");
    assert.deepEqual(
      again.shown.map(({ text }) => text),
      ["while away"],
      "what it had acknowledged does not come again",
    );
    await again.close();
  });
});
