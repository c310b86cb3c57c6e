// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import type { Access } from "../access.ts";
import { CliFault, EXIT, type ExitCode, usageFault } from "../fault.ts";
import { forwardedPort } from "../forwarded-port.ts";
import type { CommandContext } from "../run.ts";

const API_PORT = 8090;
const MAX_PORT = 65_535;
const MAX_SAID_CHARS = 2000;

/** `admin [NAME]`: a way to the admin page from this machine, until Ctrl-C. */
export async function admin(context: CommandContext): Promise<ExitCode> {
  const { words, flags, terminal } = context;
  const port = localPort(flags.text("port"));
  const access = context.access();
  const cluster = await access.cluster(words[0]);
  const { name } = cluster.metadata;
  const scheme = schemeOf(cluster);
  const forward = new Forward(forwardArgs(access, flags.text("kubeconfig"), name, port), context);
  try {
    const local = await forward.opened();
    terminal.out(`${scheme}://127.0.0.1:${local}/admin/\n`);
    terminal.err(`${keyHint(access.namespace, name)}\nCtrl-C ends the way to it.\n`);
    await forward.ended();
    return EXIT.ok;
  } finally {
    forward.close();
  }
}

/** @throws CliFault when it is no port */
export function localPort(text: string | undefined): number {
  const port = Number(text ?? API_PORT);
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) throw usageFault("--port must be 0 to 65535", "admin");
  return port;
}

/** @throws CliFault when the API is off, which serves the page */
export function schemeOf({ metadata, spec }: ImCluster): "http" | "https" {
  const { serverApi } = spec.logic;
  if (serverApi) return serverApi.tlsSecretName ? "https" : "http";
  throw new CliFault(
    `the server API of ${metadata.name} is off, and the page is a part of it`,
    "Set `spec.logic.serverApi: {}` in the ImCluster.",
  );
}

/** How a key is made that sees everything and changes nothing. */
export function keyHint(namespace: string, name: string): string {
  return [
    "It asks for an API key. One that only looks:",
    `  kubectl exec -n ${namespace} deploy/${name}-logic -- node logic/server-api/keys-main.ts create \\`,
    "    --name admin --days 30 --scopes fleet:read,users:read,messages:read,broadcasts:read,dead-letters:read",
  ].join("\n");
}

/** The same cluster for kubectl as for this program. */
export function forwardArgs(
  { namespace, contextName }: Pick<Access, "namespace" | "contextName">,
  kubeconfig: string | undefined,
  name: string,
  port: number,
): string[] {
  const where = kubeconfig === undefined ? [] : ["--kubeconfig", kubeconfig];
  const target = ["--address", "127.0.0.1", `svc/${name}-api`, `${port}:${API_PORT}`];
  return [...where, "--context", contextName, "--namespace", namespace, "port-forward", ...target];
}

type Surroundings = Pick<CommandContext, "env" | "signal" | "timeoutMs">;

/** One `kubectl port-forward`; it ends with the signal. */
class Forward {
  readonly #child: ChildProcess;
  readonly #opened = Promise.withResolvers<number>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #signal: AbortSignal;
  #said = "";

  constructor(args: readonly string[], { env, signal, timeoutMs }: Surroundings) {
    this.#signal = signal;
    const child = spawn("kubectl", args, { env: { ...env }, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    // Whoever waits for neither is told all the same.
    this.#opened.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
    signal.addEventListener("abort", this.close);
    const timer = setTimeout(() => this.#fail(`kubectl did not open it within ${timeoutMs} ms`), timeoutMs);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said = (this.#said + text).slice(-MAX_SAID_CHARS);
    });
    child.once("error", (cause) => this.#fail("kubectl is not on PATH", cause));
    child.once("close", () => {
      clearTimeout(timer);
      if (signal.aborted) this.#ended.resolve();
      this.#fail(`kubectl port-forward ended: ${this.#said.trim()}`);
    });
    if (child.stdout)
      createInterface({ input: child.stdout }).on("line", (line) => {
        const port = forwardedPort(line);
        if (port === undefined) return;
        clearTimeout(timer);
        this.#opened.resolve(port);
      });
  }

  /** @throws CliFault with what kubectl said */
  opened(): Promise<number> {
    return this.#opened.promise;
  }

  /** Resolves when the signal ended it. @throws CliFault when it ended by itself, as when its pod went */
  ended(): Promise<void> {
    return this.#ended.promise;
  }

  readonly close = (): void => {
    this.#signal.removeEventListener("abort", this.close);
    this.#child.kill("SIGTERM");
  };

  #fail(message: string, cause?: unknown): void {
    const remedy =
      "`kubectl port-forward` says the same: is the pod there, the port free (--port 0), pods/portforward allowed?";
    const fault = new CliFault(message, remedy, { cause });
    this.#opened.reject(fault);
    this.#ended.reject(fault);
    this.#child.kill("SIGTERM");
  }
}
