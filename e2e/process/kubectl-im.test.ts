// SPDX-License-Identifier: Apache-2.0
// `kubectl im` and a whole fleet of real processes: doctor through the clients' ports; route, kick and trace by the program in
// a logic pod, behind a real API server whose kubelet is a stand-in.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { createChannelClient } from "#lib/grpc.ts";
import { serviceDefinition } from "#proto/load.ts";
import { EXIT } from "../../kubectl/fault.ts";
import { type RunOptions, runWords } from "../../kubectl/testing.ts";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { PODS } from "../../operator/kube/types.ts";
import { SERVER_NAME } from "../harness/fleet.ts";
import { freePort } from "../harness/ports.ts";
import { waitUntil } from "../harness/processes.ts";
import { startProxy } from "../harness/proxy.ts";
import { createTestAuthority } from "../harness/tls.ts";
import { kubectlIm, makeCluster, makePod } from "../operator/support/kubectl-im-fleet.ts";
import { type ImApiServer, startImApiServer } from "../operator/support/shared-api-server.ts";
import { type Ran, StandInKubelet } from "../operator/support/stand-in-kubelet.ts";
import { login, targetOf, useFleet, waitMessages } from "./fleet-suite.ts";

const ADMIN = fileURLToPath(new URL("../../logic/admin.ts", import.meta.url));
const WAIT_MS = 60_000;
const TIMEOUT = ["--timeout", "60s"];

describe("kubectl im and a fleet", { concurrency: 1 }, () => {
  const fleet = useFleet({ entries: 2, logics: 1 });
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "kubectl-im-"));
  });
  after(() => rmSync(folder, { recursive: true }));

  const file = (name: string, content: string): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const doctor = (...args: string[]) => runWords(["doctor", ...args, ...TIMEOUT], { clock: systemClock });

  describe("doctor", () => {
    it("logs in by every carrier, and finds nothing wrong", async () => {
      const { tlsPort } = fleet().entry(0);
      const token = file("token", `${await fleet().tokens.mint("im-doctor")}\n`);
      const { code, out, err } = await doctor(
        ...["--server", `127.0.0.1:${tlsPort}`, "--server-name", SERVER_NAME, "--ca", file("ca.crt", fleet().ca)],
        ...["--token-file", token],
      );
      assert.deepEqual([code, err], [EXIT.ok, ""], out);
      for (const pattern of [
        /^Fleet at 127\.0\.0\.1:\d+\n/,
        /^ok +connect +127\.0\.0\.1:\d+ \(127\.0\.0\.1\) in \d+ ms, TLS in \d+ ms: TLSv1\.3 /m,
        /^ok +certificate +trusted as dev\.imcluster\.local, ends in (89|90)d /m,
        /^ok +raw TCP +WELCOME as im-doctor from \S+ in \d+ ms$/m,
        /^ok +WebSocket +WELCOME as im-doctor from \S+ in \d+ ms$/m,
        /^ok +HTTP +WELCOME as im-doctor from \S+ in \d+ ms$/m,
        new RegExp(`^ok +other addresses +clients are told ${SERVER_NAME}:\\d+$`, "m"),
        /^Nothing is wrong as seen from here\.$/m,
      ])
        assert.match(out, pattern);
    });

    it("needs no token: a made-up one is refused by logic, which shows that the way there is open", async () => {
      const { tlsPort } = fleet().entry(1);
      const args = [
        "--server",
        `127.0.0.1:${tlsPort}`,
        "--server-name",
        SERVER_NAME,
        "--ca",
        file("ca.crt", fleet().ca),
      ];
      const { code, out } = await doctor(...args, "-o", "json");
      assert.equal(code, EXIT.ok, out);
      const { findings } = JSON.parse(out) as { findings: { check: string; verdict: string; text: string }[] };
      const carriers = findings.filter(({ text }) => text.includes("a made-up token is refused"));
      assert.deepEqual(
        carriers.map(({ check }) => check),
        ["raw TCP", "WebSocket", "HTTP"],
      );
    });

    it("says what is wrong with a certificate, and shows the token to nobody then", async () => {
      const { tlsPort } = fleet().entry(0);
      const token = file("token", await fleet().tokens.mint("never-seen"));
      const other = await createTestAuthority(join(folder, "other"), 2);
      const server = ["--server", `127.0.0.1:${tlsPort}`, "--token-file", token];
      const stranger = await doctor(...server, "--server-name", SERVER_NAME, "--ca", file("other.crt", other.ca));
      assert.equal(stranger.code, EXIT.unhealthy);
      assert.match(stranger.out, /^bad +certificate +not trusted as dev\.imcluster\.local: \w+; it is for /m);
      assert.match(stranger.out, /^What to do\ncertificate: Its authority/m);
      assert.match(stranger.out, /^ok +raw TCP .*a made-up token is refused$/m);
      const misnamed = await doctor(...server, "--server-name", "wrong.example", "--ca", file("ca.crt", fleet().ca));
      assert.match(misnamed.out, /not trusted as wrong\.example: ERR_TLS_CERT_ALTNAME_INVALID/);
      assert.match(misnamed.out, /certificate: It does not name this host/);
    });

    it("says that nothing answers, that what answers is no fleet, and that a token is of no use", async () => {
      const nobody = await doctor("--server", `127.0.0.1:${await freePort()}`);
      assert.equal(nobody.code, EXIT.unhealthy);
      assert.match(nobody.out, /^bad +tcp .*ECONNREFUSED.*\n\nWhat to do\ntcp: Nothing answers there/m);
      const plain = await doctor("--server", `127.0.0.1:${fleet().entry(0).adminPort}`);
      assert.match(plain.out, /^bad +tls /m);
      const nameless = await doctor("--server", "no-such-host.invalid");
      assert.match(nameless.out, /^bad +dns +no-such-host\.invalid:443: /m);
      const expired = file("expired", await fleet().tokens.mint("im-doctor", { expiresInS: -3600 }));
      const args = ["--server-name", SERVER_NAME, "--ca", file("ca.crt", fleet().ca), "--token-file", expired];
      const late = await doctor("--server", `127.0.0.1:${fleet().entry(0).tlsPort}`, ...args);
      assert.equal(late.code, EXIT.unhealthy);
      assert.match(
        late.out,
        new RegExp(`^bad +raw TCP +login refused with ${DisconnectCode.TOKEN_EXPIRED} token_expired`, "m"),
      );
      assert.match(late.out, /^WebSocket: The token ran out: give a fresh one by --token-file/m);
      for (const bad of ["", "a:b", "[::1", "h:0", "h:70000"])
        assert.equal((await doctor(`--server=${bad}`)).code, EXIT.usage, bad);
    });
  });

  describe("doctor --cordon-canary", () => {
    let server: ImApiServer;
    before(async () => {
      server = await startImApiServer();
    });
    after(() => server?.stop());

    /** Pods for the entries, an operator's part of cordoning, and a load balancer that leaves out the one that is not ready. */
    async function setUp() {
      const namespace = await server.makeNamespace();
      await makeCluster(server.client, namespace, { phase: "Ready" });
      const names = ["entry-0", "entry-1"];
      for (const name of names) await makePod(server.client, namespace, { name, component: "entry", node: "nowhere" });
      const balancer = await startProxy(fleet().entry(0).tlsPort);
      const control = createChannelClient({
        address: `127.0.0.1:${fleet().entry(0).controlPort}`,
        definition: serviceDefinition("im.uplink.v1.EntryControl"),
        role: "entry",
      });
      const requests: string[] = [];
      let done = "";
      let isOver = false;
      const carryOut = async (wanted: string): Promise<void> => {
        if (wanted === done) return;
        const isCordoned = wanted === "true";
        await control.call(isCordoned ? "Cordon" : "Uncordon", { drainId: "test" }, WAIT_MS);
        const status = { conditions: [{ type: "Ready", status: isCordoned ? "False" : "True" }] };
        await server.client.patchMerge(PODS, namespace, "entry-0", { status }, { subresource: "status" });
        requests.push(wanted);
        done = wanted;
      };
      const operate = async (): Promise<void> => {
        while (!isOver) {
          const pod = await server.client.get(PODS, namespace, "entry-0");
          await carryOut(pod?.metadata.annotations?.[ANNOTATION.cordon] ?? "");
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      const operating = operate();
      const close = async (): Promise<void> => {
        isOver = true;
        await operating;
        control.close();
        await balancer.close();
      };
      const token = file("canary-token", await fleet().tokens.mint("im-doctor"));
      const args = [
        "doctor",
        "--cordon-canary",
        "--server",
        `127.0.0.1:${balancer.port}`,
        "--server-name",
        SERVER_NAME,
      ];
      const run = (options: RunOptions = {}) =>
        kubectlIm(server, namespace)([...args, "--ca", file("ca.crt", fleet().ca), "--token-file", token], options);
      return { balancer, requests, run, close };
    }

    it("tells how long new connections still arrive, and that the open one stays", async () => {
      const { balancer, requests, run, close } = await setUp();
      try {
        const running = run();
        await waitUntil("it is cordoned", () => requests.includes("true"), WAIT_MS);
        // A load balancer that looks at readiness now and then: some still come.
        const before = balancer.accepted;
        await waitUntil("some came", () => balancer.accepted >= before + 3, WAIT_MS);
        balancer.targetPort = fleet().entry(1).tlsPort;
        const { code, out, err } = await running;
        assert.equal(code, EXIT.ok, out + err);
        assert.match(out, /^ok +open connection +stayed open for the \d+s in which entry-0 was not ready$/m);
        assert.match(
          out,
          /^(ok|warning) +new connections +\d+ of \d+ still reached entry-0, the last one \d+\.\d s after/m,
        );
        assert.match(out, /^ok +canary +entry-0 takes new connections again$/m);
        assert.deepEqual(requests, ["true", "false"]);
      } finally {
        await close();
      }
    });

    it("notices a network that cuts, and takes the cordon back when it is interrupted", async () => {
      const { balancer, requests, run, close } = await setUp();
      try {
        const cutting = run();
        await waitUntil("it is cordoned", () => requests.includes("true"), WAIT_MS);
        balancer.mode = "cut";
        const { code, out } = await cutting;
        assert.equal(code, EXIT.unhealthy, out);
        assert.match(out, /^bad +open connection +was cut \d+\.\d s after entry-0 was not ready$/m);
        assert.match(out, /^open connection: The network cuts connections of pods that are not ready/m);
        balancer.mode = "pass";
        balancer.targetPort = fleet().entry(0).tlsPort;
        requests.length = 0;
        const interrupted = new AbortController();
        const running = run({ signal: interrupted.signal });
        await waitUntil("it is cordoned", () => requests.includes("true"), WAIT_MS);
        interrupted.abort();
        assert.equal((await running).code, EXIT.interrupted);
        await waitUntil("it is open again", () => requests.includes("false"), WAIT_MS);
      } finally {
        await close();
      }
    });
  });

  describe("route, kick and trace", () => {
    let server: ImApiServer;
    let kubelet: StandInKubelet;
    before(async () => {
      server = await startImApiServer();
      const env = { PATH: process.env.PATH, IM_ADMIN_TARGET: fleet().logicTargets[0] };
      const run = (_pod: string, _container: string, [, , ...words]: readonly string[]): Promise<Ran> =>
        new Promise((resolve) => {
          execFile(process.execPath, [ADMIN, ...words], { env, timeout: WAIT_MS }, (error, stdout, stderr) =>
            resolve({ exitCode: error ? Number(error.code ?? 1) : 0, stdout, stderr }),
          );
        });
      kubelet = await StandInKubelet.start(server.client, "stand-in", { logOf: () => [], run });
    });
    after(async () => {
      await kubelet?.stop();
      await server?.stop();
    });

    it("follow a message from its sender to a phone that is closed by a person", async () => {
      const namespace = await server.makeNamespace();
      await makeCluster(server.client, namespace, { phase: "Ready" });
      await makePod(server.client, namespace, { name: "demo-logic-a", component: "logic", node: "stand-in" });
      const im = kubectlIm(server, namespace);
      const alice = await login(fleet(), "kim-alice", targetOf(fleet(), "tls", 0));
      const bob = await login(fleet(), "kim-bob", targetOf(fleet(), "wss", 1));
      const { messageId } = await alice.client.send({ to: "kim-bob", content: "hello", id: "kim-1" });
      await waitMessages(bob, 1);

      const route = await im(["route", "kim-bob"]);
      assert.match(route.out, /^kim-bob is online on 1 of 1 devices; the inbox has 1 messages\n/);
      assert.match(route.out, new RegExp(`^kim-bob-device +android +online +${fleet().entry(1).podUid}\\.\\d+ `, "m"));

      const traceOf = async (words: string[]) => (await im(["trace", ...words])).out;
      await waitUntil(
        "bob's phone has it",
        async () => /^kim-bob {2}every device has it \(1\)$/m.test(await traceOf([messageId, "--user", "kim-bob"])),
        WAIT_MS,
      );
      const traced = await traceOf(["kim-1", "--user", "kim-alice"]);
      assert.match(traced, new RegExp(`^Message ${messageId} {2}stored .* ago\nFrom kim-alice as kim-1, 5 bytes\n`));
      assert.ok(!traced.includes("hello"), "never the content");
      const stranger = await im(["trace", messageId, "--user", "kim-carol"]);
      assert.equal(stranger.code, EXIT.failed);

      const kicked = await im(["kick", "kim-bob", "--reason", "look away"]);
      assert.equal(kicked.out, "closed 1 session of kim-bob\n", kicked.err);
      await waitUntil("bob is closed", () => bob.client.state.kind === "closed", WAIT_MS);
      await waitUntil(
        "his route is gone",
        async () => (await im(["route", "kim-bob"])).out.startsWith("kim-bob is offline"),
        WAIT_MS,
      );
      await alice.client.send({ to: "kim-bob", content: "again", id: "kim-2" });
      assert.match(await traceOf(["kim-2", "--user", "kim-alice"]), /^kim-bob {2}offline, /m);
    });
  });
});
