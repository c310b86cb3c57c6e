// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { afterEach, beforeEach, test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { Connection } from "./connection.ts";
import { KubeError } from "./kube-error.ts";
import { until } from "./testing/wait.ts";

const TIMEOUT = { timeout: 20_000 };
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === "::1"),
);

let server: Server;
let sockets: Set<Socket>;
let answers: ((request: IncomingMessage, response: ServerResponse) => void)[];
let requests: string[];
let connection: Connection;

beforeEach(async () => {
  sockets = new Set();
  answers = [];
  requests = [];
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const answer = answers.shift() ?? ((_request, reply) => reply.end("{}"));
    answer(request, response);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const kubeConfig = new KubeConfig();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/prefix/`;
  kubeConfig.loadFromClusterAndUser({ name: "c", server: url, skipTLSVerify: true }, { name: "u", token: "t" });
  connection = new Connection({ kubeConfig, userAgent: "test" });
});

afterEach(async () => {
  connection.close();
  server.closeAllConnections();
  server.close();
  await once(server, "close");
});

const get = (deadlineMs = 5_000) => connection.request({ method: "GET", path: "/x?a=b", deadlineMs });
const post = () => connection.request({ method: "POST", path: "/x", body: "{}", deadlineMs: 5_000 });

async function faultOf(call: Promise<unknown>): Promise<[string, boolean]> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof KubeError, String(error));
  return [error.reason, error.retryable];
}

test("the server's path prefix, the token and one pooled socket are used", TIMEOUT, async () => {
  for (let index = 0; index < 3; index++) assert.equal((await get()).status, 200);
  assert.deepEqual(requests, Array(3).fill("GET /prefix/x?a=b Bearer t"));
  assert.equal(sockets.size, 1);
});

test("a pooled socket that the server closed costs nothing but a POST", TIMEOUT, async () => {
  const reset = (_request: IncomingMessage, response: ServerResponse): void => {
    response.socket?.resetAndDestroy();
  };
  await get();
  answers = [reset];
  assert.equal((await get()).status, 200);
  answers = [reset];
  assert.deepEqual(await faultOf(post()), ["Network", true]);
  // On a fresh socket there is no such excuse.
  answers = [reset, reset];
  assert.deepEqual(await faultOf(get()), ["Network", true]);
});

test("the deadline covers a body that never ends, and drops what is pooled", TIMEOUT, async () => {
  await Promise.all([get(), get()]);
  assert.equal(sockets.size, 2);
  answers = [(_request, response) => void response.write('{"half":')];
  assert.deepEqual(await faultOf(get(100)), ["Timeout", true]);
  await until("no socket is left", () => sockets.size === 0);
});

test("a stream refused is an error; one open ends with the connection", TIMEOUT, async () => {
  answers = [(_request, response) => response.writeHead(410).end('{"kind":"Status","reason":"Expired","code":410}')];
  assert.deepEqual(await faultOf(connection.stream("/w", 1_000)), ["Expired", false]);
  answers = [(_request, response) => void response.write("line\n")];
  const stream = await connection.stream("/w", 1_000);
  const closed = once(stream, "close").catch(() => undefined);
  connection.close();
  await closed;
  assert.deepEqual(await faultOf(get()), ["Closed", true]);
});

test("an address that nobody listens on is a passing fault", TIMEOUT, async () => {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser({ name: "c", server: "http://127.0.0.1:1", skipTLSVerify: true }, { name: "u" });
  const nowhere = new Connection({ kubeConfig, userAgent: "test" });
  assert.deepEqual(await faultOf(nowhere.request({ method: "GET", path: "/", deadlineMs: 1_000 })), ["Network", true]);
  nowhere.close();
});

test("an IPv6 address is understood", { ...TIMEOUT, skip: hasIpv6 ? false : "no IPv6 loopback" }, async () => {
  const v6Server = createServer((_request, response) => response.end("{}")).listen(0, "::1");
  await once(v6Server, "listening");
  const kubeConfig = new KubeConfig();
  const url = `http://[::1]:${(v6Server.address() as AddressInfo).port}`;
  kubeConfig.loadFromClusterAndUser({ name: "c", server: url, skipTLSVerify: true }, { name: "u" });
  const v6 = new Connection({ kubeConfig, userAgent: "test" });
  assert.equal((await v6.request({ method: "GET", path: "/", deadlineMs: 1_000 })).status, 200);
  v6.close();
  v6Server.close();
});

test("a kubeconfig without a cluster is refused at once", () => {
  assert.throws(() => new Connection({ kubeConfig: new KubeConfig(), userAgent: "test" }), KubeError);
});
