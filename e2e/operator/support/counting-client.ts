// SPDX-License-Identifier: Apache-2.0
import type { KubeClient } from "../../../operator/kube/client.ts";
import { KubeError } from "../../../operator/kube/kube-error.ts";
import type { Resource } from "../../../operator/kube/types.ts";

/** One call, in the words of RBAC. */
export interface ApiUse {
  verb: string;
  group: string;
  resource: string;
}

export interface ClientHooks {
  onUse?(use: ApiUse): void;
  /** After a write was done; a throw takes the answer away from the caller. */
  afterWrite?(description: string): void;
  /** Before anything; a throw prevents it. */
  beforeCall?(): void;
}

function use(verb: string, resource: Resource, subresource?: string): ApiUse {
  const [group = "", version] = resource.apiVersion.split("/");
  const plural = subresource ? `${resource.plural}/${subresource}` : resource.plural;
  return { verb, group: version ? group : "", resource: plural };
}

/** A client that tells what is asked of it, and can be made to fail as a killed process would. */
export function hookedClient(client: KubeClient, hooks: ClientHooks): KubeClient {
  const call = async <T>(uses: ApiUse[], run: () => Promise<T>, written?: string): Promise<T> => {
    hooks.beforeCall?.();
    for (const one of uses) hooks.onUse?.(one);
    const answer = await run();
    if (written !== undefined) hooks.afterWrite?.(written);
    return answer;
  };
  const named = (verb: string, resource: Resource, name: string) => `${verb} ${resource.kind} ${name}`;
  return {
    get: (resource, namespace, name, options) =>
      call([use("get", resource)], () => client.get(resource, namespace, name, options)),
    list: (resource, namespace, options) =>
      call([use("list", resource)], () => client.list(resource, namespace, options)),
    create: (resource, object, options) =>
      call(
        [use("create", resource)],
        () => client.create(resource, object, options),
        named("create", resource, object.metadata.name),
      ),
    // The server asks for both when there is nothing yet.
    apply: (resource, object, options) =>
      call(
        [use("patch", resource), use("create", resource)],
        () => client.apply(resource, object, options),
        named("apply", resource, object.metadata.name),
      ),
    applyStatus: (resource, object, options) =>
      call(
        [use("patch", resource, "status")],
        () => client.applyStatus(resource, object, options),
        named("status", resource, object.metadata.name),
      ),
    patchMerge: (resource, namespace, name, patch, options) =>
      call(
        [use("patch", resource, options?.subresource)],
        () => client.patchMerge(resource, namespace, name, patch, options),
        named("patch", resource, name),
      ),
    delete: (resource, namespace, name, options) =>
      call(
        [use("delete", resource)],
        () => client.delete(resource, namespace, name, options),
        named("delete", resource, name),
      ),
    evict: (namespace, podName, options) => call([], () => client.evict(namespace, podName, options)),
    watch: (resource, namespace, options) => {
      hooks.beforeCall?.();
      hooks.onUse?.(use("watch", resource));
      return client.watch(resource, namespace, options);
    },
    raw: (path, options) => call([], () => client.raw(path, options)),
    close: () => undefined,
  };
}

/** The process is gone: the write happened, its answer never arrived, and nothing more is sent. */
export class Crash {
  #writesLeft: number;
  #isDead = false;
  #onDead: () => void = () => undefined;
  readonly dead: Promise<void>;
  /** What the last write was. */
  last = "";
  writes = 0;

  /** @param afterWrites dies after that many; Infinity counts only */
  constructor(afterWrites: number) {
    this.#writesLeft = afterWrites;
    this.dead = new Promise((resolve) => {
      this.#onDead = resolve;
    });
  }

  readonly hooks: ClientHooks = {
    beforeCall: () => {
      if (this.#isDead) throw new KubeError(0, "Network", "the process is dead");
    },
    afterWrite: (description) => {
      this.writes++;
      this.#writesLeft--;
      this.last = description;
      if (this.#writesLeft > 0) return;
      this.#isDead = true;
      this.#onDead();
      throw new KubeError(0, "Network", "the process died before the answer");
    },
  };
}

/** Namespaces worked on at the same time. */
const LANES = 5;

/** Runs `test` for 1, 2, 3, ... until it says that there was no such write; a few at a time. */
export async function eachCrashPoint(test: (afterWrites: number) => Promise<boolean>): Promise<number> {
  let next = 1;
  let last = Number.POSITIVE_INFINITY;
  const lane = async () => {
    while (next < last) {
      const mine = next++;
      if (!(await test(mine))) last = Math.min(last, mine);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return last - 1;
}
