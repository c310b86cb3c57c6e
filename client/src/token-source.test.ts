// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { turn } from "../test/fake-server.ts";
import { ClientCode, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import { settingsOf } from "./options.ts";
import { TokenSource } from "./token-source.ts";

function setup(getToken: () => string | Promise<string>) {
  const clock = new FakeClock();
  const timing = { tokenTimeoutMs: 1_000 };
  const source = new TokenSource(settingsOf({ url: "wss://im.example/ws", deviceId: "d", getToken, clock, timing }));
  const outcomes: (string | ImClientError)[] = [];
  const fetch = (): void => {
    void source.fetch(
      (token) => outcomes.push(token),
      (error) => outcomes.push(error),
    );
  };
  return { source, clock, outcomes, fetch };
}

describe("token source", () => {
  it("gives what getToken gives, or what is held", async () => {
    let calls = 0;
    const { source, clock, outcomes, fetch } = setup(() => `token-${++calls}`);
    fetch();
    await turn();
    source.held = "held";
    fetch();
    await turn();
    assert.deepEqual([outcomes, calls], [["token-1", "held"], 1]);
    assert.equal(clock.pending, 0);
  });

  it("gives up after the timeout, and hears no answer that comes later", async () => {
    const answers: ((token: string) => void)[] = [];
    const { clock, outcomes, fetch } = setup(() => new Promise((resolve) => answers.push(resolve)));
    fetch();
    clock.advance(1_000);
    await turn();
    answers[0]?.("late");
    await turn();
    const [error] = outcomes;
    assert.equal(outcomes.length, 1);
    assert.ok(error instanceof ImClientError && error.code === ClientCode.TOKEN_UNAVAILABLE && error.retryable);
    assert.match(error.message, /no token within 1000 ms/);
  });

  it("cancelled or asked again, the first call's outcome is dropped", async () => {
    const answers: ((token: string) => void)[] = [];
    const { source, clock, outcomes, fetch } = setup(() => new Promise((resolve) => answers.push(resolve)));
    fetch();
    fetch();
    answers[0]?.("first");
    await turn();
    answers[1]?.("second");
    await turn();
    assert.deepEqual(outcomes, ["second"]);
    fetch();
    source.cancel();
    answers[2]?.("third");
    await turn();
    assert.deepEqual([outcomes, clock.pending], [["second"], 0]);
  });

  it("an error is worth another attempt unless getToken says that it is not", async () => {
    const thrown: unknown[] = [
      new Error("offline"),
      "text",
      new ImClientError(ErrorCode.PERMISSION_DENIED, "signed out"),
      new ImClientError(ErrorCode.BUSY, "busy"),
    ];
    const { clock, outcomes, fetch } = setup(() => {
      throw thrown.shift();
    });
    for (const _ of [...thrown]) {
      fetch();
      await turn();
    }
    const told = outcomes.map((outcome) => outcome instanceof ImClientError && [outcome.message, outcome.retryable]);
    assert.deepEqual(told, [
      ["getToken failed: offline", true],
      ["getToken failed: text", true],
      ["getToken failed: signed out", false],
      ["getToken failed: busy", true],
    ]);
    assert.equal(clock.pending, 0);
  });
});
