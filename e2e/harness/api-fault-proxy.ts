// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import https, { type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { createCa, issueLeaf } from "../../operator/pki/x509.ts";
import { Random } from "../sim/random.ts";
import { GONE_STATUS, WatchRelay } from "./api-fault-watch.ts";
import { type ApiFault, type ApiFaults, FaultDice, type RequestFate } from "./api-faults.ts";

/** A request that came, at the moment of its arrival. */
export interface ProxiedCall {
  method: string;
  /** With its query. */
  url: string;
  isWatch: boolean;
  /** Monotonic, ms. */
  atMs: number;
}

/** Answers of one list kept to be given again. */
const KEPT_ANSWERS = 6;
const CLUSTER = "faulty";

interface Answer {
  status: number;
  contentType: string;
  body: Buffer;
}

/**
 * Ends the TLS of its clients, asks a real API server as the user of a kubeconfig, and does to requests, answers and events what
 * `faults` says: by the dice of a seed, so that what depends on the order in which requests come is all that differs between runs.
 */
export class ApiFaultProxy {
  /** May be changed at any time. How a watch ends is decided when it is opened. */
  faults: ApiFaults = {};
  /** How often each fault came about. */
  readonly happened = new Map<ApiFault, number>();
  readonly calls: ProxiedCall[] = [];
  readonly #server: Server;
  readonly #dice: FaultDice;
  readonly #upstream: { url: URL; options: https.RequestOptions };
  readonly #pool = new https.Agent({ keepAlive: true });
  readonly #ca: string;
  readonly #answers = new Map<string, Answer[]>();

  private constructor(upstream: { url: URL; options: https.RequestOptions }, seed: number) {
    this.#upstream = upstream;
    this.#dice = new FaultDice(new Random(seed, "api-faults"));
    const nowMs = Date.now();
    const ca = createCa({ commonName: "api-fault-proxy", nowMs, validDays: 1 });
    const leaf = issueLeaf(ca, {
      ...{ commonName: "api-fault-proxy", altNames: ["127.0.0.1"], usage: ["server"], nowMs, validDays: 1 },
    });
    this.#ca = ca.cert;
    this.#server = https.createServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  /** @param kubeConfig as whom the API server is asked, whoever asks the proxy */
  static async start(kubeConfig: KubeConfig, seed: number): Promise<ApiFaultProxy> {
    const server = kubeConfig.getCurrentCluster()?.server;
    if (!server) throw new Error("the kubeconfig has no current cluster");
    const options: https.RequestOptions = {};
    await kubeConfig.applyToHTTPSOptions(options);
    const proxy = new ApiFaultProxy({ url: new URL(server), options }, seed);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** For its clients. */
  get kubeConfig(): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    const kubeConfig = new KubeConfig();
    const caData = Buffer.from(this.#ca).toString("base64");
    kubeConfig.loadFromClusterAndUser(
      { name: CLUSTER, server: `https://127.0.0.1:${port}`, skipTLSVerify: false, caData },
      { name: "anybody" },
    );
    return kubeConfig;
  }

  count(fault: ApiFault): number {
    return this.happened.get(fault) ?? 0;
  }

  async close(): Promise<void> {
    this.#pool.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  readonly #note = (fault: ApiFault): void => {
    this.happened.set(fault, this.count(fault) + 1);
  };

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/" } = request;
    const { searchParams } = new URL(url, "https://proxy");
    const isWatch = searchParams.get("watch") === "true";
    this.calls.push({ method, url, isWatch, atMs: performance.now() });
    const body = await bodyOf(request);
    const delayMs = isWatch ? 0 : this.#dice.delayMs(this.faults);
    if (delayMs > 0) {
      this.#note("delayed");
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
    const fate = this.#dice.ofRequest(this.faults, isWatch);
    if (fate) {
      this.#note(fate);
      this.#refuse(response, fate);
      return;
    }
    if (isWatch) await this.#watch(request, response);
    else await this.#pass(request, body, response);
  }

  #refuse(response: ServerResponse, fate: Exclude<RequestFate, undefined>): void {
    if (fate === "throttled") {
      // Priority and fairness answers in plain text.
      response.writeHead(429, { "content-type": "text/plain", "retry-after": "1" });
      response.end("Too many requests, please try again later.");
      return;
    }
    const code = fate === "goneStatus" ? 410 : this.#dice.pick([500, 503]);
    const status = code === 410 ? GONE_STATUS : { kind: "Status", code, reason: "InternalError", message: "faulty" };
    response.writeHead(code, { "content-type": "application/json" });
    response.end(JSON.stringify(status));
  }

  async #watch(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const upstream = await this.#ask(request, undefined, false, response);
    if (upstream.statusCode !== 200) {
      send(response, await readAnswer(upstream));
      return;
    }
    const relay = new WatchRelay({
      response,
      faults: () => this.faults,
      dice: this.#dice,
      happened: this.#note,
    });
    await relay.run(upstream);
  }

  async #pass(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const fresh = await readAnswer(await this.#ask(request, body, true, response));
    const answer = request.method === "GET" ? this.#perhapsStale(request.url ?? "/", fresh) : fresh;
    if (this.#dice.throw(this.faults.cut)) {
      this.#note("cut");
      cut(response, answer);
    } else send(response, answer);
  }

  /** Single objects are never stale: the API server reads them from etcd. */
  #perhapsStale(url: string, fresh: Answer): Answer {
    if (!isList(fresh)) return fresh;
    const kept = this.#answers.get(url) ?? [];
    this.#answers.set(url, kept);
    const others = kept.filter(({ body }) => !body.equals(fresh.body));
    // The first of all stays: it is the stalest.
    kept.splice(1, kept.length >= KEPT_ANSWERS ? 1 : 0);
    kept.push(fresh);
    if (others.length === 0 || !this.#dice.throw(this.faults.staleList)) return fresh;
    this.#note("staleList");
    return this.#dice.pick(others);
  }

  /** Ends with the connection of the client. */
  #ask(
    request: IncomingMessage,
    body: Buffer | undefined,
    isPooled: boolean,
    response: ServerResponse,
  ): Promise<IncomingMessage> {
    const { url, options } = this.#upstream;
    const { host: _, connection: __, ...headers } = request.headers;
    return new Promise((resolve, reject) => {
      const sent = https.request({
        ...options,
        ...{ host: url.hostname, port: url.port, method: request.method, path: request.url, headers },
        agent: isPooled ? this.#pool : false,
      });
      sent.on("error", reject);
      sent.once("response", resolve);
      response.once("close", () => {
        if (!response.writableFinished) sent.destroy();
      });
      sent.end(body);
    });
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isList({ status, body }: Answer): boolean {
  return status === 200 && Array.isArray((JSON.parse(body.toString("utf8")) as { items?: unknown }).items);
}

async function readAnswer(upstream: IncomingMessage): Promise<Answer> {
  const contentType = upstream.headers["content-type"] ?? "application/json";
  return { status: upstream.statusCode ?? 0, contentType, body: await bodyOf(upstream) };
}

function send(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, { "content-type": contentType, "content-length": body.length });
  response.end(body);
}

/** Half of it, then the end of the connection. */
function cut(response: ServerResponse, { status, contentType, body }: Answer): void {
  response.writeHead(status, { "content-type": contentType, "content-length": body.length });
  response.write(body.subarray(0, body.length / 2), () => response.socket?.destroy());
}
