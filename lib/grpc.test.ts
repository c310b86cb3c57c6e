// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { serviceDefinition } from "#proto/load.ts";
import { freePort } from "../e2e/harness/ports.ts";
import { authorityAt, createTestAuthority, issueRoleFolders } from "../e2e/harness/tls.ts";
import { ErrorCode, ImError } from "./errors.ts";
import {
  createChannelClient,
  createGrpcServer,
  type GrpcServer,
  type InternalTls,
  loadInternalTls,
  openUplink,
  type Role,
  type ServerUplink,
  type UplinkStream,
  unaryService,
  uplinkService,
  watchInternalTls,
} from "./grpc.ts";
import { fromGrpcError, statusOf } from "./grpc-status.ts";

const LOGIC = serviceDefinition("im.uplink.v1.LogicControl");

/** A handler of PurgeEntry; nobody calls the other methods. */
function purgeService(handler: Parameters<typeof unaryService>[1][string]) {
  const others = Object.fromEntries(Object.keys(LOGIC).map((method) => [method, () => ({})]));
  return unaryService(LOGIC, { ...others, PurgeEntry: handler });
}

/** Opens an uplink and gives promises for what happens to it. */
function uplink(port: number, options: { tls?: InternalTls | undefined; connectTimeoutMs?: number } = {}) {
  const received: Buffer[] = [];
  const first = Promise.withResolvers<Buffer>();
  const closed = Promise.withResolvers<Error | undefined>();
  const stream: UplinkStream = openUplink({
    address: `127.0.0.1:${port}`,
    ...options,
    onBatch: (batch) => {
      received.push(batch);
      first.resolve(batch);
    },
    onClose: (error) => closed.resolve(error),
  });
  return { stream, received, first: first.promise, closed: closed.promise };
}

/** Accepts TCP and never says a word. */
class BlackHole {
  readonly #sockets: Socket[] = [];
  readonly #server: Server = createServer((socket) => this.#sockets.push(socket));

  /** On a port that nobody else takes when it is free again. */
  static async start(): Promise<BlackHole> {
    const hole = new BlackHole();
    const port = await freePort();
    await new Promise<void>((resolve) => hole.#server.listen(port, "127.0.0.1", resolve));
    return hole;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Frees the port; who is connected stays stuck. */
  stopListening(): void {
    this.#server.close();
  }

  /** Cuts who is connected. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}

describe("uplink", () => {
  let server: GrpcServer;
  let port = 0;
  let onAttach: (stream: ServerUplink) => void = () => undefined;

  before(async () => {
    server = createGrpcServer({});
    server.addService(uplinkService((stream) => onAttach(stream)));
    port = await server.bind("127.0.0.1", 0);
  });
  after(() => server.close(0));

  it("carries bytes as they are, both ways, and ends in order on both sides", async () => {
    const serverClosed = Promise.withResolvers<Error | undefined>();
    onAttach = (stream) => {
      stream.onBatch((batch) => stream.write(Buffer.concat([Buffer.from("echo "), batch])));
      stream.onClose((error) => serverClosed.resolve(error));
    };
    const { stream, first, closed } = uplink(port);
    stream.write(Buffer.from([0, 255, 1]));
    assert.deepEqual(await first, Buffer.concat([Buffer.from("echo "), Buffer.from([0, 255, 1])]));
    stream.close();
    assert.equal(await closed, undefined);
    await serverClosed.promise;
    assert.equal(stream.write(Buffer.from("late")), false);
  });

  it("a handler that throws ends the stream on either side", async () => {
    onAttach = (stream) => {
      stream.onBatch(() => {
        throw new Error("malformed");
      });
    };
    const broken = uplink(port);
    broken.stream.write(Buffer.from("x"));
    await broken.closed;

    onAttach = (stream) => stream.write(Buffer.from("x"));
    const closed = Promise.withResolvers<Error | undefined>();
    openUplink({
      address: `127.0.0.1:${port}`,
      onBatch: () => {
        throw new Error("bad batch");
      },
      onClose: (error) => closed.resolve(error),
    });
    assert.equal((await closed.promise)?.message, "bad batch");
  });

  it("write says when to wait, and everything arrives", async () => {
    let bytes = 0;
    const all = Promise.withResolvers<void>();
    const total = 48 * 256 * 1024;
    onAttach = (stream) =>
      stream.onBatch((batch) => {
        bytes += batch.length;
        if (bytes === total) all.resolve();
      });
    const { stream } = uplink(port);
    const drained = Promise.withResolvers<void>();
    stream.onDrain(() => drained.resolve());
    const answers = Array.from({ length: 48 }, () => stream.write(Buffer.alloc(256 * 1024)));
    assert.equal(answers[0], true);
    assert.equal(answers.at(-1), false, "16 batches wait: the writer is told");
    await drained.promise;
    await all.promise;
    stream.close();
  });

  it("reports a refused connection as retryable", async () => {
    const hole = await BlackHole.start();
    const { port: deadPort } = hole;
    hole.close();
    const error = await uplink(deadPort).closed;
    assert.ok(error instanceof ImError);
    assert.equal(error.code, ErrorCode.RETRYABLE);
  });

  it("gives up a peer that accepts TCP and never speaks HTTP/2", async () => {
    const hole = await BlackHole.start();
    const error = await uplink(hole.port, { connectTimeoutMs: 100 }).closed;
    assert.match(error?.message ?? "", /did not speak HTTP\/2 within 100 ms/);
    hole.close();
  });

  it("hears when the server is cut", async () => {
    const own = createGrpcServer({});
    own.addService(uplinkService((stream) => stream.write(Buffer.from("hello"))));
    const ownPort = await own.bind("127.0.0.1", 0);
    const { first, closed } = uplink(ownPort);
    await first;
    await own.close(0);
    assert.ok((await closed) instanceof ImError);
  });
});

describe("unary calls", () => {
  const client = (port: number, connectTimeoutMs = 5000) =>
    createChannelClient({ address: `127.0.0.1:${port}`, definition: LOGIC, role: "logic", connectTimeoutMs });

  it("answer, and map faults by code", async () => {
    const server = createGrpcServer({});
    server.addService(
      purgeService(({ podUid }) => {
        if (podUid === "busy") throw new ImError(ErrorCode.BUSY, "later");
        if (podUid === "boom") throw new TypeError("bug");
        return { incarnations: 3 };
      }),
    );
    const port = await server.bind("127.0.0.1", 0);
    const calls = client(port);
    const reply = await calls.call<{ incarnations: number }>("PurgeEntry", { podUid: "a" }, 5000);
    assert.equal(reply.incarnations, 3);
    await assert.rejects(calls.call("PurgeEntry", { podUid: "busy" }, 5000), {
      code: ErrorCode.BUSY,
      message: /later/,
    });
    await assert.rejects(calls.call("PurgeEntry", { podUid: "boom" }, 5000), { code: ErrorCode.INTERNAL });
    await assert.rejects(calls.call("Nothing", {}, 5000), { code: ErrorCode.INTERNAL });
    calls.close();
    await server.close(0);
  });

  it("may be as many at once as the server says", async (t) => {
    const open = Promise.withResolvers<object>();
    const server = createGrpcServer({ maxCalls: 2000 });
    t.after(() => server.close(0));
    let entered = 0;
    server.addService(
      purgeService(() => {
        if (++entered === 1100) open.resolve({ incarnations: 1 });
        return open.promise;
      }),
    );
    const calls = client(await server.bind("127.0.0.1", 0));
    t.after(() => calls.close());
    // None is answered before the last has come.
    await Promise.all(Array.from({ length: 1100 }, () => calls.call("PurgeEntry", { podUid: "a" }, 60_000)));
    assert.equal(entered, 1100);
  });

  it("end at the deadline, and the handler hears it", async () => {
    const aborted = Promise.withResolvers<void>();
    const server = createGrpcServer({});
    server.addService(
      purgeService(({ podUid }: { podUid: string }, { signal }) =>
        podUid === "quick" ? {} : new Promise(() => signal.addEventListener("abort", () => aborted.resolve())),
      ),
    );
    const port = await server.bind("127.0.0.1", 0);
    const calls = client(port);
    // The deadline counts from the call: the connection has to be there before it.
    await calls.call("PurgeEntry", { podUid: "quick" }, 10_000);
    await assert.rejects(calls.call("PurgeEntry", { podUid: "a" }, 500), { code: ErrorCode.RETRYABLE });
    await aborted.promise;
    calls.close();
    await server.close(0);
  });

  it("replace a connection that is stuck, once the peer is healthy again", async (t) => {
    const hole = await BlackHole.start();
    t.after(() => hole.close());
    const { port } = hole;
    const calls = client(port, 50);
    t.after(() => calls.close());
    await assert.rejects(calls.call("PurgeEntry", { podUid: "a" }, 200), { code: ErrorCode.RETRYABLE });
    hole.stopListening();
    const server = createGrpcServer({});
    t.after(() => server.close(0));
    server.addService(purgeService(() => ({ incarnations: 1 })));
    await server.bind("127.0.0.1", port);
    const reply = await calls.call<{ incarnations: number }>("PurgeEntry", { podUid: "a" }, 10_000);
    assert.equal(reply.incarnations, 1);
  });

  it("wait through the replacement of a stuck connection, up to their own deadline", async (t) => {
    const hole = await BlackHole.start();
    t.after(() => hole.close());
    const { port } = hole;
    const calls = client(port, 50);
    t.after(() => calls.close());
    const waiting = calls.call<{ incarnations: number }>("PurgeEntry", { podUid: "a" }, 30_000);
    const late = calls.call("PurgeEntry", { podUid: "a" }, 300);
    await assert.rejects(late, { code: ErrorCode.RETRYABLE, message: /deadline/i });
    hole.stopListening();
    hole.cut();
    const server = createGrpcServer({});
    t.after(() => server.close(0));
    server.addService(purgeService(() => ({ incarnations: 2 })));
    await server.bind("127.0.0.1", port);
    assert.equal((await waiting).incarnations, 2);
  });

  it("say that they were late also when their deadline comes with the replacement", async (t) => {
    const hole = await BlackHole.start();
    t.after(() => hole.close());
    const calls = client(hole.port, 50);
    t.after(() => calls.close());
    const late = { code: ErrorCode.RETRYABLE, message: /deadline/i };
    const ends = Array.from({ length: 20 }, (_, at) => calls.call("PurgeEntry", { podUid: "a" }, 45 + at));
    await Promise.all(ends.map((end) => assert.rejects(end, late)));
  });
});

describe("mutual TLS", () => {
  const root = mkdtempSync(join(tmpdir(), "im-mtls-"));
  const tls: Partial<Record<Role | "stranger", InternalTls>> = {};
  let server: GrpcServer;
  let port = 0;

  before(async () => {
    const authority = await createTestAuthority(join(root, "ca"));
    const folders = await issueRoleFolders(authority, join(root, "roles"), ["entry", "logic", "operator"] as const);
    for (const role of ["entry", "logic", "operator"] as const) tls[role] = loadInternalTls(folders[role]);
    const other = await createTestAuthority(join(root, "other-ca"));
    const strangers = await issueRoleFolders(other, join(root, "strangers"), ["operator"] as const);
    const ca = readFileSync(join(root, "ca", "ca.crt"));
    const stranger = loadInternalTls(strangers.operator);
    if (stranger) tls.stranger = { ...stranger, ca };
    server = createGrpcServer({ tls: tls.logic, clientRoles: ["entry", "operator"] });
    server.addService(
      purgeService(() => ({ incarnations: 1 })),
      ["operator"],
    );
    server.addService(
      uplinkService((stream) => stream.write(Buffer.from("hi"))),
      ["entry"],
    );
    port = await server.bind("127.0.0.1", 0);
  });
  after(async () => {
    await server.close(0);
    rmSync(root, { recursive: true });
  });

  const purge = async (as: InternalTls | undefined, role: Role = "logic", deadlineMs = 10_000): Promise<void> => {
    const calls = createChannelClient({ address: `127.0.0.1:${port}`, definition: LOGIC, role, tls: as });
    try {
      await calls.call("PurgeEntry", { podUid: "a" }, deadlineMs);
    } finally {
      calls.close();
    }
  };

  it("lets the accepted role in", async () => {
    await purge(tls.operator);
    const { first, stream } = uplink(port, { tls: tls.entry });
    assert.equal((await first).toString(), "hi");
    stream.close();
  });

  it("refuses another role of the same CA, per service", async () => {
    await assert.rejects(purge(tls.entry), {
      code: ErrorCode.PERMISSION_DENIED,
      message: /none of the roles operator/,
    });
    const error = await uplink(port, { tls: tls.operator }).closed;
    assert.equal((error as ImError).code, ErrorCode.PERMISSION_DENIED);
  });

  it("refuses a certificate of another CA, and none at all", async () => {
    await assert.rejects(purge(tls.stranger, "logic", 700), { code: ErrorCode.RETRYABLE });
    await assert.rejects(purge(undefined, "logic", 700), { code: ErrorCode.RETRYABLE });
  });

  it("the client refuses a server of another role", async () => {
    await assert.rejects(purge(tls.operator, "operator", 700), { code: ErrorCode.RETRYABLE });
  });

  it("follows renewed certificates while connections stay", async () => {
    const dir = join(root, "renewed");
    const authority = authorityAt(join(root, "ca"));
    await authority.issue(dir, { dnsNames: ["logic.imcluster.internal"] });
    const { first, stream } = uplink(port, { tls: tls.entry });
    await first;
    const watch = watchInternalTls(
      dir,
      (next) => server.setTls(next),
      (error) => assert.fail(error),
    );
    const current = watch.current();
    watch.close();
    server.setTls(current ?? assert.fail("no pair"));
    await purge(tls.operator);
    assert.equal(stream.write(Buffer.from("x")), true);
    stream.close();
    const never = () => assert.fail("no folder, no news");
    assert.equal(watchInternalTls(undefined, never, never).current(), undefined);
  });

  it("names what is missing in the folder", () => {
    assert.throws(() => loadInternalTls(join(root, "nothing")), /IM_INTERNAL_TLS_DIR: ENOENT/);
    assert.equal(loadInternalTls(""), undefined);
  });
});

describe("status mapping", () => {
  it("brings codes through the wire and back", () => {
    const survive = [2, 3, 4, 5, 6, 9, 10, 1, 13, 11] as const;
    for (const code of survive) {
      const { code: status, details } = statusOf(new ImError(code, "x"));
      assert.equal(fromGrpcError({ code: status, details }).code, code);
    }
    assert.equal(fromGrpcError(new Error("odd")).code, ErrorCode.INTERNAL);
    assert.equal(fromGrpcError({ code: 4, details: "late" }).message, "late");
  });
});
