// SPDX-License-Identifier: Apache-2.0
import type { HookSettings } from "../hooks/hook-settings.ts";
import type { DeadHookEvent, HookStatus, HookStore, ReplayFrom } from "../store/hooks.ts";
import { externalId } from "../tenant/tenant-ids.ts";

/** What {@link HookDesk} needs. */
export interface HookDeskPorts {
  store: Pick<HookStore, "backlog" | "listDead" | "replayDead" | "rewind">;
  /** As the file of hooks has it now. */
  settings: () => HookSettings;
}

export interface ShownHook extends Omit<HookStatus, "hook"> {
  readonly name: string;
  readonly events: readonly string[];
}

export type ShownDead = Omit<DeadHookEvent, "hook">;

/** Most dead events that one call puts back. */
export const MAX_REPLAYED = 1000;

/** Webhooks of one tenant. One that the tenant does not have has nothing, whoever else has it. All throw ImError as the store does. */
export class HookDesk {
  readonly #ports: HookDeskPorts;

  constructor(ports: HookDeskPorts) {
    this.#ports = ports;
  }

  async list(tenant: string): Promise<ShownHook[]> {
    const own = this.#ports.settings().hooks.filter((hook) => hook.tenant === tenant);
    if (own.length === 0) return [];
    const { hooks, lastPosition } = await this.#ports.store.backlog(own.map(({ name }) => name));
    return own.map(({ name, events }) => {
      const status = hooks.find(({ hook }) => hook === name);
      const { position, tries, oldestMs, dead } = status ?? { position: lastPosition, tries: 0, oldestMs: 0, dead: 0 };
      return { name, events: [...events], position, tries, oldestMs: Math.max(0, Math.round(oldestMs)), dead };
    });
  }

  async dead(tenant: string, hook: string, page: { after: number; limit: number }): Promise<ShownDead[]> {
    if (!this.#has(tenant, hook)) return [];
    const dead = await this.#ports.store.listDead({ hook, ...page });
    return dead.map(({ hook: _, key, ...shown }) => ({ ...shown, key: externalId(tenant, key) ?? key }));
  }

  /** Up to {@link MAX_REPLAYED} dead events; how many. */
  async replayDead(tenant: string, hook: string, positions: readonly number[] | undefined): Promise<number> {
    if (!this.#has(tenant, hook)) return 0;
    return await this.#ports.store.replayDead({ hook, limit: MAX_REPLAYED, ...(positions ? { positions } : {}) });
  }

  async rewind(tenant: string, hook: string, from: ReplayFrom): Promise<boolean> {
    return this.#has(tenant, hook) && (await this.#ports.store.rewind(hook, from));
  }

  #has(tenant: string, name: string): boolean {
    return this.#ports.settings().hooks.some((hook) => hook.name === name && hook.tenant === tenant);
  }
}
