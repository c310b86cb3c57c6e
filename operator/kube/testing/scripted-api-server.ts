// SPDX-License-Identifier: Apache-2.0
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import type { KubeObject } from "../types.ts";

/** What the next request of a kind gets instead of its answer. */
export type Fault =
  | { status: number; retryAfterSeconds?: number; body?: string }
  | { hang: true }
  | { reset: true }
  /** Of a list: what the first list said. */
  | { stale: true };

type EventType = "ADDED" | "MODIFIED" | "DELETED";

interface LoggedEvent {
  version: number;
  line: string;
}

interface Listed {
  version: string;
  objects: ReadonlyMap<string, KubeObject>;
}

/**
 * List and watch of config maps in namespace `default`, over real HTTP, with a script of faults. Versions count up by one
 * for each change, and the log of changes can be compacted, as in etcd.
 */
export class ScriptedApiServer {
  readonly #server: Server;
  readonly #objects = new Map<string, KubeObject>();
  readonly #watches = new Set<ServerResponse>();
  /** Watches that missed a change while mute: they never hear anything again, as a connection that is half open. */
  readonly #deaf = new WeakSet<ServerResponse>();
  readonly #faults: Record<"list" | "watch", Fault[]> = { list: [], watch: [] };
  #log: LoggedEvent[] = [];
  /** What the list that began last shows on all of its pages. */
  #listed: Listed = { version: "", objects: new Map() };
  #firstListed: Listed | undefined;
  /** A line that comes after the next one. */
  #held: string | undefined;
  #holdsNext = false;
  #withholdsNext = false;
  #version = 100;
  #compactedTo = 0;
  #uids = 0;
  #isMute = false;
  /** Of each request, in order: `list`, `list continue=...` or `watch resourceVersion=...`. */
  readonly requests: string[] = [];
  /** Query of the last watch. */
  lastWatchQuery = new URLSearchParams();

  private constructor() {
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(): Promise<ScriptedApiServer> {
    const scripted = new ScriptedApiServer();
    scripted.#server.listen(0, "127.0.0.1");
    await once(scripted.#server, "listening");
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get kubeConfig(): KubeConfig {
    const kubeConfig = new KubeConfig();
    // client-node refuses plain HTTP otherwise.
    kubeConfig.loadFromClusterAndUser(
      { name: "scripted", server: this.url, skipTLSVerify: true },
      { name: "test", token: "secret" },
    );
    return kubeConfig;
  }

  get watches(): number {
    return this.#watches.size;
  }

  get version(): string {
    return String(this.#version);
  }

  /** What a list would say now, as `name -> uid/version`. */
  get truth(): Map<string, string> {
    return new Map(
      [...this.#objects].map(([name, { metadata }]) => [name, `${metadata.uid}/${metadata.resourceVersion}`]),
    );
  }

  fail(kind: "list" | "watch", ...faults: Fault[]): void {
    this.#faults[kind].push(...faults);
  }

  put(name: string, data: Record<string, string> = {}): void {
    const old = this.#objects.get(name);
    const uid = old?.metadata.uid ?? `uid-${++this.#uids}`;
    this.#change(old ? "MODIFIED" : "ADDED", name, uid, data);
  }

  remove(name: string): void {
    const old = this.#objects.get(name);
    if (old) this.#change("DELETED", name, old.metadata.uid ?? "", {});
  }

  /** Forgets the history: a watch from an older version gets 410 in an ERROR event. */
  compact(): void {
    this.#log = [];
    this.#compactedTo = this.#version;
  }

  /** While mute, changes reach no open watch, whose socket stays open and silent for ever. */
  mute(isMute: boolean): void {
    this.#isMute = isMute;
  }

  /** Recreates an object so that its watchers see only the new incarnation. */
  replace(name: string): void {
    this.#objects.delete(name);
    this.put(name);
  }

  /** The event of the next change is overtaken by the one after it. */
  overtakeNext(): void {
    this.#holdsNext = true;
  }

  /** The event of the next change is still on its way when the open watches are cut. */
  withholdNext(): void {
    this.#withholdsNext = true;
  }

  /** The server was restored from a backup: its versions begin again at the first list. */
  restore(): void {
    if (!this.#firstListed) return;
    this.#objects.clear();
    for (const [name, object] of this.#firstListed.objects) this.#objects.set(name, object);
    this.#version = Number(this.#firstListed.version);
    this.#log = [];
    this.#held = undefined;
  }

  /** As changes of other objects do. */
  skipVersions(count: number): void {
    this.#version += count;
  }

  /** To every open watch that is not deaf; a line break is added. */
  sendLine(line: string): void {
    for (const watch of this.#watches) if (!this.#deaf.has(watch)) watch.write(`${line}\n`);
  }

  sendEvent(type: string, object: object): void {
    this.sendLine(JSON.stringify({ type, object }));
  }

  sendBookmark(): void {
    this.sendEvent("BOOKMARK", { metadata: { resourceVersion: this.version } });
  }

  /** An event of a past change once more. */
  repeatEvent(index: number): void {
    const event = this.#log[index % Math.max(1, this.#log.length)];
    if (event) this.sendLine(event.line);
  }

  /** A regular end, as after `timeoutSeconds`. */
  endWatches(): void {
    this.#release();
    for (const watch of this.#watches) watch.end();
  }

  /** Half an event, then a reset. */
  cutWatches(): void {
    this.#held = undefined;
    for (const watch of this.#watches) {
      watch.write('{"type":"ADDED","obj');
      watch.socket?.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #change(type: EventType, name: string, uid: string, data: Record<string, string>): void {
    const version = ++this.#version;
    const metadata = { name, namespace: "default", uid, resourceVersion: String(version), managedFields: [{}] };
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata, data };
    if (type === "DELETED") this.#objects.delete(name);
    else this.#objects.set(name, object);
    const line = JSON.stringify({ type, object });
    this.#log.push({ version, line });
    if (this.#isMute) for (const watch of this.#watches) this.#deaf.add(watch);
    if (this.#withholdsNext) {
      this.#withholdsNext = false;
      return;
    }
    if (this.#holdsNext && this.#held === undefined) {
      this.#held = line;
      this.#holdsNext = false;
      return;
    }
    this.sendLine(line);
    this.#release();
  }

  #release(): void {
    const line = this.#held;
    this.#held = undefined;
    if (line !== undefined) this.sendLine(line);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const query = new URL(request.url ?? "/", this.url).searchParams;
    const kind = query.get("watch") === "true" ? "watch" : "list";
    const from = kind === "watch" ? query.get("resourceVersion") : query.get("continue");
    const name = kind === "watch" ? "resourceVersion" : "continue";
    this.requests.push(from ? `${kind} ${name}=${from}` : kind);
    const fault = this.#faults[kind].shift();
    if (fault && !("stale" in fault)) this.#refuse(response, fault);
    else if (kind === "watch") this.#watch(response, query);
    else this.#list(response, query, fault !== undefined);
  }

  #refuse(response: ServerResponse, fault: Exclude<Fault, { stale: true }>): void {
    if ("hang" in fault) return;
    if ("reset" in fault) {
      response.socket?.resetAndDestroy();
      return;
    }
    const { status, retryAfterSeconds, body } = fault;
    if (retryAfterSeconds !== undefined) response.setHeader("retry-after", retryAfterSeconds);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(
      body ?? JSON.stringify({ kind: "Status", code: status, reason: `Reason${status}`, message: "scripted" }),
    );
  }

  /** All pages of a list are of the version of its first one, as the API server's are. */
  #list(response: ServerResponse, query: URLSearchParams, isStale: boolean): void {
    const from = query.get("continue");
    const now = { version: this.version, objects: new Map(this.#objects) };
    if (from === null) this.#listed = isStale && this.#firstListed ? this.#firstListed : now;
    this.#firstListed ??= this.#listed;
    const { version, objects } = this.#listed;
    const names = [...objects.keys()].sort();
    const start = Number(from ?? 0);
    const end = start + Number(query.get("limit") ?? names.length);
    const items = names.slice(start, end).map((name) => {
      const { apiVersion: _a, kind: _k, ...item } = objects.get(name) ?? {};
      return item;
    });
    const next = end < names.length ? String(end) : undefined;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ metadata: { resourceVersion: version, continue: next }, items }));
  }

  #watch(response: ServerResponse, query: URLSearchParams): void {
    this.lastWatchQuery = query;
    const from = Number(query.get("resourceVersion"));
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (from < this.#compactedTo) {
      const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
      response.end(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
      return;
    }
    for (const { version, line } of this.#log) if (version > from) response.write(`${line}\n`);
    this.#watches.add(response);
    response.once("close", () => this.#watches.delete(response));
  }
}
