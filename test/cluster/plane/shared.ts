/**
 * One control plane for the test files of a run that leave each other alone: each in namespaces of its own, with nothing
 * that counts for the whole cluster. It serves downdraft's kinds. Who breaks it, counts what is in it or installs
 * webhooks and policies for all has one of their own.
 */

import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { inject } from 'vitest';
import type { ControlPlane } from './controlplane.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the shared control plane is asked for. */
    sharedPlane: string;
  }
}

/** Without what only its owner may do. */
export type SharedPlane = Omit<ControlPlane, 'restartApiServer' | 'log' | 'stop'>;

/** Asks for it; whoever asks first waits until it has started. */
export async function sharedPlane(): Promise<SharedPlane> {
  return await new Promise((resolve, reject) => {
    get(inject('sharedPlane'), async (response) => {
      const answer = await text(response);
      if (response.statusCode === 200) resolve(JSON.parse(answer) as SharedPlane);
      else reject(new Error(answer));
    }).once('error', reject);
  });
}
