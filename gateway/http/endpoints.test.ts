// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { request } from "node:http";
import { describe, it } from "node:test";
import { type Endpoint, parseEndpoint } from "#lib/endpoint.ts";
import { cleanups, setUp } from "../testing/entry-suite.ts";
import { EndpointList, type EndpointsAnswer } from "./endpoints.ts";

const parsed = (...texts: string[]): Endpoint[] =>
  texts.map((text) => parseEndpoint(text) ?? assert.fail(`${text} is no endpoint`));

describe("EndpointList", () => {
  it("ranks entries, then further addresses, then load balancers, each as configured", () => {
    const list = new EndpointList(
      parsed("balancer=im.example.com", "list=b.example.com:8443", "direct=[2001:db8::1]*9", "list=a.example.com"),
    );
    assert.deepEqual(list.answer("asked.example.com"), {
      ttlMs: 300_000,
      endpoints: [
        { rank: 1, kind: "direct", address: "[2001:db8::1]:443", weight: 9 },
        { rank: 2, kind: "list", address: "b.example.com:8443", weight: 1 },
        { rank: 2, kind: "list", address: "a.example.com:443", weight: 1 },
        { rank: 3, kind: "balancer", address: "im.example.com:443", weight: 1 },
      ],
    });
  });

  it("takes the host that was asked for the load balancer, when none is configured", () => {
    const addresses = (list: EndpointList, host?: string) => list.answer(host).endpoints.map(({ address }) => address);
    assert.deepEqual(addresses(new EndpointList([]), "im.example.com"), ["im.example.com:443"]);
    assert.deepEqual(addresses(new EndpointList(parsed("direct=a")), "[::1]:8443"), ["a:443", "[::1]:8443"]);
    for (const wrong of [undefined, "", "a b", '"><script>', "a:99999", "user@host"])
      assert.deepEqual(addresses(new EndpointList(parsed("direct=a")), wrong), ["a:443"]);
  });

  it("is bounded, and keeps the load balancer that was asked", () => {
    const many = parsed(...Array.from({ length: 70 }, (_, i) => `list=a${i}`));
    const { endpoints } = new EndpointList(many).answer("im.example.com");
    assert.equal(endpoints.length, 64);
    assert.equal(endpoints.at(-1)?.kind, "balancer");
    assert.equal(new EndpointList(many).answer("").endpoints.length, 64);
  });
});

describe("GET /v1/endpoints", () => {
  const ORIGIN = "https://shop.example.com";

  async function start() {
    const endpoints = parsed("direct=im-1.example.com*2");
    const { entry } = await setUp({ endpoints, httpOrigins: [ORIGIN] });
    const ask = (method: string, headers: Record<string, string> = {}, path = "/v1/endpoints"): Promise<Response> =>
      fetch(`http://127.0.0.1:${entry.plainPort}${path}`, { method, headers });
    return { entry, ask };
  }

  it("answers with the list, for caches, and ends the connection", async () => {
    const { entry, ask } = await start();
    for (const path of ["/v1/endpoints", "/v1/endpoints?app=1"]) {
      const response = await ask("GET", {}, path);
      assert.equal(response.status, 200);
      const { headers } = response;
      assert.deepEqual(
        ["content-type", "cache-control", "vary", "connection", "x-content-type-options"].map((name) =>
          headers.get(name),
        ),
        ["application/json", "public, max-age=300", "origin", "close", "nosniff"],
      );
      assert.deepEqual((await response.json()) as EndpointsAnswer, {
        ttlMs: 300_000,
        endpoints: [
          { rank: 1, kind: "direct", address: "im-1.example.com:443", weight: 2 },
          { rank: 3, kind: "balancer", address: `127.0.0.1:${entry.plainPort}`, weight: 1 },
        ],
      });
    }
  });

  it("HEAD has the same head and no body", async () => {
    const { ask } = await start();
    const [got, head] = [await ask("GET"), await ask("HEAD")];
    assert.equal(head.headers.get("content-length"), got.headers.get("content-length"));
    assert.equal(await head.text(), "");
    assert.ok((await got.text()).length > 0);
  });

  it("is for pages of the same host and of the listed origins", async () => {
    const { entry, ask } = await start();
    const allowed = await ask("GET", { origin: ORIGIN });
    assert.deepEqual([allowed.status, allowed.headers.get("access-control-allow-origin")], [200, ORIGIN]);
    assert.equal(allowed.headers.get("vary"), "origin");
    const own = await ask("GET", { origin: `http://127.0.0.1:${entry.plainPort}` });
    assert.deepEqual([own.status, own.headers.get("access-control-allow-origin")], [200, null]);
    const stranger = await ask("GET", { origin: "https://evil.example.com" });
    assert.equal(stranger.status, 403);
    assert.equal(stranger.headers.get("access-control-allow-origin"), null);
    assert.equal(stranger.headers.get("cache-control"), "no-store");
    assert.doesNotMatch(await stranger.text(), /im-1/);
  });

  it("takes nothing but GET and HEAD, and is no other path", async () => {
    const { ask } = await start();
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const response = await ask(method);
      assert.deepEqual([response.status, response.headers.get("cache-control")], [405, "no-store"], method);
    }
    for (const path of ["/v1/endpoints/", "/v1/endpoint", "/v1/endpoints/x", "/v1/ENDPOINTS"])
      assert.equal((await ask("GET", {}, path)).status, 405, path);
  });

  it("repeats no Host that is none", async () => {
    const { entry } = await start();
    const body = await new Promise<string>((resolve, reject) => {
      const options = {
        port: entry.plainPort,
        host: "127.0.0.1",
        path: "/v1/endpoints",
        headers: { host: 'x"><script>' },
      };
      const asked = request(options, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += String(chunk);
        });
        response.on("end", () => resolve(text));
      });
      asked.on("error", reject);
      cleanups.push(() => asked.destroy());
      asked.end();
    });
    assert.deepEqual(
      (JSON.parse(body) as EndpointsAnswer).endpoints.map(({ address }) => address),
      ["im-1.example.com:443"],
    );
  });
});
