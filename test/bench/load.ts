/** One round of load on one server, with what it cost the server. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { processorSeconds, residentMiB } from './proc.ts';
import type { Server } from './servers.ts';

const connections = 4;

/** What is sent, and what every answer must contain. */
export interface Load {
  /** Folder of the bodies. */
  bodies: string;
  expect: string[];
  seconds: number;
  /** Ends it before, when given. */
  most?: number;
}

export interface Round {
  requests: number;
  /** Per second. */
  throughput: number;
  p50Ms: number;
  p99Ms: number;
  /** The server's processor time per review. */
  cpuMs: number;
  /** Of the cores' time, what the server and the load took: 1 is one core. */
  serverCores: number;
  loadCores: number;
  /** The server's, when the round has just ended. */
  residentMiB: number;
}

interface Told {
  requests: number;
  seconds: number;
  p50Ms: number;
  p99Ms: number;
  cpuSeconds: number;
}

/** Runs one round. Throws when an answer is wrong or late. `go` is the folder that `ensureGo` answers. */
export async function runLoad(go: string, server: Server, load: Load): Promise<Round> {
  const { address, path, certificates } = server;
  const args = [
    `-address=${address}`,
    `-path=${path}`,
    `-authority=${join(certificates, 'tls.crt')}`,
    `-bodies=${load.bodies}`,
    `-connections=${connections}`,
    `-seconds=${load.seconds}`,
    ...(load.most === undefined ? [] : [`-most=${load.most}`]),
    ...load.expect.map((text) => `-expect=${text}`),
  ];
  const before = await processorSeconds(server.pid);
  const timeout = (load.seconds + 60) * 1000;
  const { stdout } = await promisify(execFile)(join(go, 'load'), args, { timeout }).catch((error) => {
    throw new Error(`${server.name}: ${String(error.stderr ?? '').trim() || error.message}`);
  });
  const used = (await processorSeconds(server.pid)) - before;
  const told: Told = JSON.parse(stdout);
  return {
    requests: told.requests,
    throughput: told.requests / told.seconds,
    p50Ms: told.p50Ms,
    p99Ms: told.p99Ms,
    cpuMs: (used / told.requests) * 1000,
    serverCores: used / told.seconds,
    loadCores: told.cpuSeconds / told.seconds,
    residentMiB: await residentMiB(server.pid),
  };
}

/** The middle one of several numbers; the mean of the two in the middle when there is no middle one. */
function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** The median of each figure over rounds of the same kind. */
export function medians(rounds: Round[]): Round {
  const keys = Object.keys(rounds[0] ?? {}) as (keyof Round)[];
  return Object.fromEntries(keys.map((key) => [key, median(rounds.map((round) => round[key]))])) as unknown as Round;
}
