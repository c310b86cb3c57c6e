// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as z from "zod";
import { loadConfig } from "../config.ts";
import { tracingSettings, tracingShape } from "./config.ts";

const load = (env: Record<string, string>) => tracingSettings(loadConfig(z.object(tracingShape), env));
const ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS = "OTEL_EXPORTER_OTLP_HEADERS";

describe("the configuration of traces", () => {
  it("traces nothing by default", () => {
    assert.deepEqual(load({}), { endpoint: undefined, headers: {}, ratio: 0.01, perSecond: 20 });
  });

  it("takes a collector, its headers, a share and a limit", () => {
    const env = { [ENDPOINT]: "https://otel.example:4318/x", [HEADERS]: "Authorization=Bearer%20a%3Db, x-team = im " };
    assert.deepEqual(load({ ...env, IM_TRACE_RATIO: ".5", IM_TRACES_PER_SECOND: "7" }), {
      endpoint: "https://otel.example:4318/x",
      headers: { authorization: "Bearer a=b", "x-team": "im" },
      ratio: 0.5,
      perSecond: 7,
    });
    for (const [text, ratio] of [
      ["0", 0],
      ["1", 1],
      ["1.0", 1],
      ["0.001", 0.001],
    ] as const)
      assert.equal(load({ IM_TRACE_RATIO: text }).ratio, ratio);
  });

  it("says what is wrong and what to set, and repeats no credential", () => {
    const bad: [Record<string, string>, RegExp][] = [
      [{ [ENDPOINT]: "otel:4318" }, /OTEL_EXPORTER_OTLP_ENDPOINT: .*http/],
      [{ [ENDPOINT]: "http://me:secret@otel:4318" }, /OTEL_EXPORTER_OTLP_ENDPOINT: holds a user/],
      [{ [ENDPOINT]: "http://otel:4318?key=secret" }, /holds a user, a query or a fragment/],
      [{ [HEADERS]: "secret" }, /OTEL_EXPORTER_OTLP_HEADERS: is not a list of name=value pairs; set it to/],
      [{ [HEADERS]: "a=secret%" }, /is not a list of name=value pairs/],
      [{ [HEADERS]: "a=secret%0d%0ab" }, /is not a list of name=value pairs/],
      [{ [HEADERS]: "a b=secret" }, /is not a list of name=value pairs/],
      [{ IM_TRACE_RATIO: "1.5" }, /IM_TRACE_RATIO: "1.5" is not a number from 0 to 1; set it to/],
      [{ IM_TRACE_RATIO: "1e-3" }, /is not a number from 0 to 1/],
      [{ IM_TRACES_PER_SECOND: "0" }, /IM_TRACES_PER_SECOND: .*1 to 1000/],
    ];
    for (const [env, expected] of bad)
      assert.throws(
        () => load(env),
        ({ message }: Error) => expected.test(message) && !message.includes("secret"),
        JSON.stringify(env),
      );
  });
});
