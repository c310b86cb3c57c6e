// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setup, turn } from "../../test/fake-server.ts";
import { Flag } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import { hear } from "./hear.ts";

const CMD = 200;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function readText(body: Uint8Array): string {
  const text = new TextDecoder().decode(body);
  if (text === "no frame") throw new TypeError("it cannot be read");
  if (text === "no message") throw new ImClientError(4500, "it is malformed");
  return text;
}

async function open() {
  const world = setup();
  world.client.connect();
  const entry = await world.server.login();
  await world.client.ready();
  return { ...world, entry };
}

describe("hear", () => {
  it("takes the unasked frames of its command, and no others, until it is ended", async () => {
    const { client, entry } = await open();
    const heard: string[] = [];
    const stop = hear(client, CMD, readText, { onFrame: (value) => void heard.push(value) });
    entry.frame(CMD, bytes("one"), 0, Flag.NO_PERSIST);
    entry.frame(CMD + 1, bytes("other"), 0, Flag.NO_PERSIST);
    entry.frame(CMD, bytes("an answer to somebody else"), 77);
    entry.frame(CMD, bytes("two"), 0);
    await turn();
    assert.deepEqual(heard, ["one", "two"]);
    stop();
    entry.frame(CMD, bytes("three"), 0);
    await turn();
    assert.deepEqual(heard, ["one", "two"]);
    await client.close();
  });

  it("says that frames were dropped, and what could not be read, and goes on", async () => {
    const { client, entry } = await open();
    const heard: string[] = [];
    hear(client, CMD, readText, {
      onFrame: (value) => void heard.push(value),
      onLost: () => void heard.push("lost"),
      onError: ({ codeName, message }) => void heard.push(`${codeName}: ${message}`),
    });
    hear(client, CMD, readText, { onFrame: (value) => void heard.push(`second: ${value}`) });
    for (const body of ["no frame", "no message", "", "ok"]) entry.frame(CMD, bytes(body), 0, Flag.NO_PERSIST);
    await turn();
    assert.deepEqual(heard, ["INTERNAL: it cannot be read", "BAD_FRAME: it is malformed", "lost", "ok", "second: ok"]);
    await client.close();
  });
});
