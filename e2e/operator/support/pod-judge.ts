// SPDX-License-Identifier: Apache-2.0
import { silentLogger } from "#lib/logger.ts";
import { DRAIN_PHASES, type DrainIntent, isRevocable, parseIntent } from "../../../operator/imcluster/drain.ts";
import { ANNOTATION, LABEL } from "../../../operator/imcluster/names.ts";
import { isPodReady } from "../../../operator/imcluster/observed.ts";
import type { KubeClient } from "../../../operator/kube/client.ts";
import { type Delta, Reflector } from "../../../operator/kube/reflector.ts";
import { PODS, type Pod } from "../../../operator/kube/types.ts";

/** What became of one entry pod. */
export interface PodLife {
  name: string;
  intent: DrainIntent | undefined;
  isReady: boolean;
  /** Has it served at some time? */
  hasServed: boolean;
  /** Of its drains, one after the other. */
  phases: string[];
  /** Somebody deleted it, or it is gone. */
  isEnding: boolean;
}

/**
 * Watches the entry pods of a namespace past all faults, and notes what must not be: a pod that ends before its drain is released,
 * a drain that goes back or is forgotten, fewer ready pods than there must be.
 */
export class PodJudge {
  /** Ready pods there must be from now on. */
  floor = 0;
  readonly offences: string[] = [];
  /** By UID, all that ever were. */
  readonly lives = new Map<string, PodLife>();
  readonly #reflector: Reflector<Pod>;

  private constructor(client: KubeClient, namespace: string) {
    this.#reflector = new Reflector<Pod>({
      ...{ client, namespace, resource: PODS, log: silentLogger },
      labelSelector: `${LABEL.component}=entry`,
    });
    this.#reflector.on((delta) => this.#take(delta));
  }

  /** @param client one that nothing happens to */
  static async start(client: KubeClient, namespace: string): Promise<PodJudge> {
    const judge = new PodJudge(client, namespace);
    judge.#reflector.start();
    await judge.#reflector.synced();
    return judge;
  }

  get ready(): number {
    return [...this.lives.values()].filter(({ isReady, isEnding }) => isReady && !isEnding).length;
  }

  /** UIDs of pods that have served and were deleted. */
  get ended(): string[] {
    return [...this.lives].filter(([, { hasServed, isEnding }]) => hasServed && isEnding).map(([uid]) => uid);
  }

  close(): Promise<void> {
    return this.#reflector.close();
  }

  #take({ type, object }: Delta<Pod>): void {
    const { uid = "", name, deletionTimestamp, annotations } = object.metadata;
    const life = this.lives.get(uid) ?? {
      ...{ name, intent: undefined, isReady: false, hasServed: false, isEnding: false, phases: [] },
    };
    this.lives.set(uid, life);
    this.#follow(life, parseIntent(annotations?.[ANNOTATION.drain]));
    const wasReady = life.isReady;
    life.isReady = isPodReady(object);
    life.hasServed ||= life.isReady;
    if (!life.isEnding && (type === "deleted" || deletionTimestamp !== undefined)) {
      life.isEnding = true;
      if (life.intent?.phase !== "Released")
        this.#offend(`${name} was deleted while ${life.intent?.phase ?? "serving"}`);
    }
    if (wasReady && this.ready < this.floor) this.#offend(`${this.ready} pods are ready without ${name}`);
  }

  #follow(life: PodLife, intent: DrainIntent | undefined): void {
    const before = life.intent;
    life.intent = intent;
    if (intent && intent.phase !== before?.phase) life.phases.push(`${intent.reason} ${intent.phase}`);
    if (!before || before.phase === intent?.phase) return;
    if (!intent) {
      if (!isRevocable(before)) this.#offend(`the drain of ${life.name} was forgotten in ${before.phase}`);
      return;
    }
    if (DRAIN_PHASES.indexOf(intent.phase) < DRAIN_PHASES.indexOf(before.phase))
      this.#offend(`the drain of ${life.name} went back from ${before.phase} to ${intent.phase}`);
  }

  #offend(what: string): void {
    this.offences.push(what);
  }
}
